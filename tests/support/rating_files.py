"""Files of ELAN and BORIS."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import Recorded, SessionNames
from pipeline.exchange.ratings import Ratings, read_ratings, read_span


def eaf(
    path: Path,
    tiers: str,
    slots: str = '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>'
    '<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="5000"/><TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="9000"/>',
    media: str = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/v/P012_S02.mp4" MIME_TYPE="video/mp4"/>',
    units: str = "milliseconds",
) -> Path:
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="{units}">{media}</HEADER><TIME_ORDER>{slots}</TIME_ORDER>{tiers}'
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="d" TIME_ALIGNABLE="true"/>'
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="assoc" CONSTRAINTS="Symbolic_Association"/>'
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="parts" CONSTRAINTS="Symbolic_Subdivision"/>'
        "</ANNOTATION_DOCUMENT>"
    )
    return path


def tier(name: str, *annotations: str, kind: str = "d", parent: str = "", person: str = "") -> str:
    above = f' PARENT_REF="{parent}"' if parent else ""
    above += f' PARTICIPANT="{person}"' if person else ""
    inside = "".join(f"<ANNOTATION>{one}</ANNOTATION>" for one in annotations)
    return f'<TIER LINGUISTIC_TYPE_REF="{kind}" TIER_ID="{name}"{above}>{inside}</TIER>'


def aligned(name: str, begin: str, end: str, value: str) -> str:
    return (
        f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{begin}" TIME_SLOT_REF2="{end}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>"
    )


def referring(name: str, to: str, value: str, after: str = "") -> str:
    previous = f' PREVIOUS_ANNOTATION="{after}"' if after else ""
    return (
        f'<REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}"{previous}>'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION>"
    )


def medium(url: str, kind: str = "video/mp4", origin_ms: int | None = None) -> str:
    mime = f' MIME_TYPE="{kind}"' if kind else ""
    origin = "" if origin_ms is None else f' TIME_ORIGIN="{origin_ms}"'
    return f'<MEDIA_DESCRIPTOR MEDIA_URL="{url}"{mime}{origin}/>'


def boris(path: Path, events: list[list[Any]] | None = None, **observation: Any) -> Path:
    events = [[1.0, "", "happy", "", ""], [5.0, "", "happy", "", ""]] if events is None else events
    behaviors = {
        "0": {"type": "State event", "code": "happy"},
        "1": {"type": "Point event", "code": "laugh"},
    }
    one = {"file": {"1": ["C:/v/P012_S02.mp4"]}, "type": "MEDIA", "time offset": 0, "events": events}
    project = {"behaviors_conf": behaviors, "observations": {"P012_S02": {**one, **observation}}}
    path.write_text(json.dumps(project))
    return path


IDS = ("P012", "S02")

MINUTE = SessionNames(
    frozenset({IDS, ("P012", "S03")}),
    {"p012_s02.mp4": IDS, "p012_s03.mp4": ("P012", "S03"), "second half.mp4": IDS},
    {IDS: Recorded(((0.0, 60.0),), {"p012_s02.mp4": 0.0, "second half.mp4": 30.0})},
)
"""P012 S02 lasts 60 s, in two files of 30 s."""


def read(path: Path, codes: str | None = None, rated: str | None = None, **names: Any) -> Ratings:
    return read_ratings([path], replace(MINUTE, **names), read_codes(codes), read_span(rated))


def stretches(found: Ratings) -> list[tuple[float, float, str]]:
    (rating,) = found.ratings
    assert rating.ids == IDS
    return [(one.start_s, one.end_s, one.label) for one in rating.stretches]


def parts(*spans: tuple[float, float]) -> dict[str, Any]:
    return {"recorded": {IDS: Recorded(spans, {})}}


def refused(path: Path, *arguments: Any, **names: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, *arguments, **names)
    assert "\n" not in str(raised.value)
    return str(raised.value)
