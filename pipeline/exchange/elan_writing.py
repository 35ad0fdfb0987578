"""Export episodes for ELAN, so that a rater can correct them instead of starting from zero.

There is one tier for all emotions, with a controlled vocabulary of seven, instead of one tier per emotion: a
double click chooses another emotion from a list, a boundary between two episodes is dragged once, and two
emotions cannot overlap by mistake.
"""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pipeline.exchange.elan_reading import pympi
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS
from pipeline.store.files import atomic

TIER = "expression"

_VOCABULARY = "expressions"
_LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")

_MIME_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}


def write_elan(session: Exported, path: Path, reading: str) -> Path:
    """Write one session's episodes as an ``.eaf``, for the folder of the recording.

    ELAN cannot play consecutive files, so only the first file of a recording is linked.

    :raises InputError: the library is missing. :raises OutputError: it can't be written.
    """
    library = pympi()
    file = library.Eaf(author=f"Emonext Care {version('emonext-care')}")
    file.adocument |= {
        "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
        "FORMAT": "3.0",
        "VERSION": "3.0",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    }
    file.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    file.remove_tier("default")
    file.add_language(*_LANGUAGE)
    file.add_controlled_vocabulary(_VOCABULARY)
    for emotion in EMOTIONS:
        file.add_cv_entry(_VOCABULARY, f"cveid_{emotion}", [(emotion, _LANGUAGE[0], None)])
    # the linguistic type must name its vocabulary; the library has no parameter for it
    kind = {
        "LINGUISTIC_TYPE_ID": TIER,
        "TIME_ALIGNABLE": "true",
        "GRAPHIC_REFERENCES": "false",
        "CONTROLLED_VOCABULARY_REF": _VOCABULARY,
    }
    file.linguistic_types.clear()
    file.add_linguistic_type(TIER, param_dict=kind)
    file.add_tier(TIER, ling=TIER, part=session.patient_id)
    video = session.media[0].name
    file.add_linked_file(
        quote(video),
        relpath=f"./{quote(video)}",
        mimetype=_MIME_TYPES.get(Path(video).suffix.lower(), "video/*"),
    )
    file.add_property("reading", reading)
    for emotion, start_s, end_s in session.of(reading).select("emotion", "start_s", "end_s").iter_rows():
        if milliseconds(start_s) < milliseconds(end_s):
            file.add_annotation(TIER, milliseconds(start_s), milliseconds(end_s), emotion)
    with atomic(path) as partial:
        # the library's own writer would rename an existing file
        partial.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n' + library.Elan.to_string(file), encoding="utf-8"
        )
    return path
