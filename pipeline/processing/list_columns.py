"""The columns of a study's list and how to fill them in, for help, documents and messages.

This module imports nothing heavy, so that help appears at once.
"""

from typing import NamedTuple


class Column(NamedTuple):
    """A column of the list.

    :param how: what to write, with an example.
    """

    name: str
    how: str
    required: bool = False


COLUMNS = (
    Column(
        "patient_id",
        "the patient's pseudonym, never a name: P012 (letters, digits, . _ -; at most 64)",
        required=True,
    ),
    Column(
        "session_id",
        "the session: S01. Where a camera split a session into several files, each file has a row with the "
        "same ids, in order of time; seconds count from the start of the first file",
        required=True,
    ),
    Column(
        "video",
        "path of the file from the list's folder, with / between folders: monday/P012_S01.mp4",
        required=True,
    ),
    Column(
        "recorded_at",
        "local date, or date and time: 2026-03-01 or 2026-03-01T14:30. 15/03/2026 (or 03/15/2026) works "
        "if any date of the column has a day above 12; empty: the time that the camera stored",
    ),
    Column("condition", "a short text: music, baseline. Use the same word in every row of the condition"),
    Column("start_s", "where the part that counts begins: seconds (90 or 90.5), mm:ss or h:mm:ss"),
    Column("end_s", "where the part ends, in the same format; empty: at the end of the video"),
    Column(
        "exclude",
        "intervals that do not count, from-to, in order of time, separated by ;, such as 120-180;5:00-5:10",
    ),
    Column(
        "patient_face",
        "photos of the patient (.jpg, .jpeg, .png), separated by ;, such as face.jpg;side.jpg",
    ),
    Column(
        "patient_region",
        "where the patient sits: left,top,right,bottom in % of the picture's width and height: 0,10,55.5,100",
    ),
    Column(
        "attention_to",
        "where an attentive patient faces: camera (also if empty), left or right in the picture, or down",
    ),
    Column("consent", "yes or no; without consent the recording is not opened"),
    Column("notes", "your own notes; not stored in the results"),
)
"""In the order in which `study init` writes them. The study's own columns begin with ``x_``."""

REQUIRED = tuple(column.name for column in COLUMNS if column.required)
