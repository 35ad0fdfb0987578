"""Export episodes as a BIDS data set (Brain Imaging Data Structure) with behavioural data only.

Labels in BIDS have only letters and digits, so other characters of ids are removed; ``participants.tsv`` and
``…_sessions.tsv`` map labels to ids.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.analysis.summaries import EPISODES_SCHEMA, SESSIONS_SCHEMA
from pipeline.errors import InputError
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.exchange.manifest import Files, bids_label
from pipeline.exchange.participants import ParticipantColumns
from pipeline.records import EMOTIONS
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import protect

BIDS_VERSION = "1.10.0"
TASK = "care"

_NOTHING = "n/a"

_PARTICIPANT_COLUMNS = {
    "participant_id": {"Description": "Label in this data set"},
    "patient_id": {"Description": "Pseudonym in the study"},
}

_OF_SESSIONS = (
    *("condition", "duration_s", "observed_s", "eyes_shut_s", "speaking_s", "chewing_s", "attention_to"),
    *("coverage", "corrected", "adapted", "identity"),
)
_OF_EPISODES = ("reading", "peak_s", "observed_s", "mean_p", "peak_p")


def bids_files(sessions: Sequence[Exported], known: ParticipantColumns | None = None) -> Files:
    """One folder per patient and session, with the episodes as events.

    :param known: what is known of the patients.
    :raises InputError: two ids are the same label.
    """
    subjects = labels((session.patient_id for session in sessions), "patients")
    known = known or ParticipantColumns()
    columns = _PARTICIPANT_COLUMNS | known.described
    participants = [(f"sub-{label}", patient, *known.of(patient)) for patient, label in subjects.items()]
    texts = {
        "participants.tsv": _tsv(list(columns), participants),
        "participants.json": _json(columns),
        "dataset_description.json": _json(_description()),
        "README": _README,
    }
    for patient, subject in subjects.items():
        texts |= _subject([one for one in sessions if one.patient_id == patient], f"sub-{subject}")
    return {name: partial(_write_text, text) for name, text in texts.items()}


def labels(ids: Iterable[str], what: str) -> dict[str, str]:
    """Id → label of letters and digits.

    :raises InputError: two ids give the same label, or an id has no letter or digit.
    """
    found: dict[str, str] = {}
    whose: dict[str, str] = {}
    for one in dict.fromkeys(ids):
        label = bids_label(one)
        # case-insensitive file systems would mix them up
        other = whose.setdefault(label.lower(), one)
        if other != one:
            raise InputError(
                f"BIDS knows letters and digits alone: the {what} {other} and {one} would both be {label}; "
                "export as csv, or give them other ids."
            )
        found[one] = label
    return found


def _subject(sessions: Sequence[Exported], subject: str) -> dict[str, str]:
    """Name → text."""
    names = labels((one.session_id for one in sessions), f"sessions of {sessions[0].patient_id}")
    texts = {}
    for session in sessions:
        name = f"ses-{names[session.session_id]}"
        stem = f"{subject}/{name}/beh/{subject}_{name}_task-{TASK}_events"
        columns = ["onset", "duration", "trial_type", *_OF_EPISODES]
        texts[f"{stem}.tsv"] = _tsv(columns, _events(session))
        texts[f"{stem}.json"] = _json(_sidecar(session))
    rows = [
        (f"ses-{names[one.session_id]}", one.session_id, _acquired(one), *map(one.facts.get, _OF_SESSIONS))
        for one in sessions
    ]
    columns = ["session_id", "id_in_study", "acq_time", *_OF_SESSIONS]
    meanings = {"id_in_study": {"Description": "Session in the study"}} | _columns(
        SESSIONS_SCHEMA, _OF_SESSIONS
    )
    texts[f"{subject}/{subject}_sessions.tsv"] = _tsv(columns, rows)
    texts[f"{subject}/{subject}_sessions.json"] = _json(meanings)
    return texts


def _acquired(session: Exported) -> str | None:
    recorded_at = session.facts["recorded_at"]
    return recorded_at.isoformat(timespec="seconds") if recorded_at else None


def _events(session: Exported) -> list[tuple[Any, ...]]:
    """Events in order of onset, as BIDS requires."""
    rows = session.episodes.sort("start_s", "reading")
    return [
        (
            milliseconds(row["start_s"]) / 1000,
            milliseconds(row["end_s"] - row["start_s"]) / 1000,
            row["emotion"],
            *(row[name] for name in _OF_EPISODES),
        )
        for row in rows.iter_rows(named=True)
    ]


def _sidecar(session: Exported) -> dict[str, Any]:
    levels = {name: f"The face looked {name}, as a classifier reads it" for name in EMOTIONS}
    return {
        "TaskName": "care session",
        "TaskDescription": "A recorded session of care; expressions were read from the patient's face.",
        "StimulusPresentation": {"SoftwareName": "none"},
        "onset": {"Description": "Begin of the episode, from the recording's first picture", "Units": "s"},
        "duration": {"Description": "Length of the episode", "Units": "s"},
        "trial_type": {"Description": "Expression, automatically estimated", "Levels": levels},
        **_columns(EPISODES_SCHEMA, _OF_EPISODES),
        "RecordingDuration": session.duration_s,
    }


def _columns(schema: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """BIDS descriptions of columns, from the tables' schema."""
    found = {}
    for name in names:
        said = {key.decode(): value.decode() for key, value in schema.field(name).metadata.items()}
        found[name] = {"Description": said["meaning"]} | ({"Units": said["unit"]} if said["unit"] else {})
    return found


def _description() -> dict[str, Any]:
    return {
        "Name": "Facial expression in care sessions",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "Emonext Care", "Version": version("emonext-care")}],
    }


_README = """Facial expression in recorded care sessions, as Emonext Care read it.

An automated estimate of what faces show: not what a person feels, no diagnosis, and not validated on people
with dementia. Events are episodes of one expression; the column reading says whether they come from the
classifier's probabilities as they are (raw) or corrected by the person's own calm face (corrected).
participants.tsv and the sessions.tsv of each participant say which pseudonyms the labels stand for.
"""


def _tsv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else protect(str(value))


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _write_text(text: str, path: Path) -> Path:
    with atomic(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path
