"""exchange.elan, exchange.boris: ELAN and BORIS open the files; reading them back gives the same."""

import importlib.util
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from boris_without_screen import AGGREGATED
from lxml import etree

from pipeline.agreement.compare import agree
from pipeline.analysis.summaries import RAW, read_episodes
from pipeline.errors import InputError, OutputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.export import Format, export
from pipeline.exchange.ratings import Ratings, read_ratings
from pipeline.records import EMOTIONS, STATES

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")

pytestmark = pytest.mark.usefixtures("no_bak")


def read_back(out: Path, *paths: Path, codes: str | None = None) -> Ratings:
    return read_ratings(paths, session_names(out), read_codes(codes))


def assert_the_same_episodes(out: Path, ratings: Ratings) -> None:
    """To the millisecond; and whoever says so agrees with the episodes in every second that was seen."""
    assert [one.session_id for one in ratings.ratings] == ["S1", "S2"]
    for one in ratings.ratings:
        own = read_episodes(out, *one.ids).filter(pl.col("reading") == RAW)
        theirs = [
            (stretch.label, round(1000 * stretch.start_s), round(1000 * stretch.end_s))
            for stretch in one.stretches
        ]
        ours = [
            (e, round(1000 * start), round(1000 * end))
            for e, start, end in own.select("emotion", "start_s", "end_s").rows()
        ]
        assert theirs == ours
        assert len(theirs) >= 4
    found = agree(out, ratings)
    compared = [one for one in found.comparisons if one.first.name == "machine, episodes"]
    assert [one.kappa.value for one in compared] == [1, 1]
    assert all(matched.first.iou_matched.value == 1 for one in compared for matched in one.episodes)


# --- ELAN

ORDER = [
    *("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT"),
    *("CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF"),
]
"""The parts of an annotation document, in the order that its schema demands."""


def ids(root: Any, path: str, name: str) -> list[str]:
    return [element.get(name) for element in root.iterfind(path)]


@pytest.mark.parametrize("session", ["S1", "S2"])
def test_an_elan_file_keeps_the_rules_of_its_schema(out: Path, session: str) -> None:
    """Those of EAF 3.0: order, what must be there, unique ids, and references that lead somewhere."""
    export(out, "elan", out / "x")
    root = etree.parse(out / "x" / f"P1_{session}.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert {"DATE", "AUTHOR", "VERSION"} <= set(root.attrib)
    assert datetime.fromisoformat(root.get("DATE")).tzinfo is not None
    places = [ORDER.index(child.tag) for child in root]
    assert places == sorted(places)
    assert places.count(ORDER.index("HEADER")) == places.count(ORDER.index("TIME_ORDER")) == 1
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    for media in root.iterfind("HEADER/MEDIA_DESCRIPTOR"):
        assert {"MEDIA_URL", "MIME_TYPE"} <= set(media.attrib)
    slots = ids(root, "TIME_ORDER/TIME_SLOT", "TIME_SLOT_ID")
    times = [int(value) for value in ids(root, "TIME_ORDER/TIME_SLOT", "TIME_VALUE")]
    annotations = list(root.iterfind("TIER/ANNOTATION/ALIGNABLE_ANNOTATION"))
    assert annotations
    assert times == sorted(times)
    assert min(times) >= 0
    kinds, languages = ids(root, "LINGUISTIC_TYPE", "LINGUISTIC_TYPE_ID"), ids(root, "LANGUAGE", "LANG_ID")
    vocabularies = ids(root, "CONTROLLED_VOCABULARY", "CV_ID")
    stereotypes = ids(root, "CONSTRAINT", "STEREOTYPE")
    # those of type xsd:ID are unique over the whole file, and none begins with a digit
    unique = slots + [one.get("ANNOTATION_ID") for one in annotations] + languages + stereotypes
    assert len(set(unique)) == len(unique)
    assert all(name[0].isalpha() and " " not in name for name in unique)
    for one in (kinds, vocabularies, ids(root, "TIER", "TIER_ID")):
        assert len(set(one)) == len(one)
    assert set(ids(root, "TIER", "LINGUISTIC_TYPE_REF")) <= set(kinds)
    assert set(ids(root, "LINGUISTIC_TYPE", "CONTROLLED_VOCABULARY_REF")) <= set(vocabularies)
    for vocabulary, words in zip(root.iterfind("CONTROLLED_VOCABULARY"), (EMOTIONS, STATES), strict=True):
        assert [child.tag for child in vocabulary] == ["CV_ENTRY_ML"] * len(words)
        assert [value.text for value in vocabulary.iterfind("CV_ENTRY_ML/CVE_VALUE")] == list(words)
        assert set(ids(vocabulary, "CV_ENTRY_ML/CVE_VALUE", "LANG_REF")) <= set(languages)
    for one in annotations:
        assert [child.tag for child in one] == ["ANNOTATION_VALUE"]
        begin, end = (slots.index(one.get(name)) for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"))
        assert times[begin] < times[end]


def test_an_elan_file_is_valid_by_its_schema(out: Path, shared: Path) -> None:
    path = shared / "schemas" / "EAFv3.0.xsd"
    if not path.is_file():
        pytest.skip("the schema of ELAN's files is not on this machine")
    schema = etree.XMLSchema(etree.parse(path))
    for file in export(out, "elan", out / "x"):
        assert schema.validate(etree.parse(file)), schema.error_log


def test_elan_round_trip(out: Path) -> None:
    export(out, "elan", out / "x")
    assert_the_same_episodes(out, read_back(out, out / "x"))


def test_an_elan_file_leads_to_the_first_of_several_videos(out: Path) -> None:
    export(out, "elan", out / "x")
    root = etree.parse(out / "x" / "P1_S2.eaf").getroot()
    assert ids(root, "HEADER/MEDIA_DESCRIPTOR", "RELATIVE_MEDIA_URL") == ["./a%20b.mp4"]


@pytest.mark.parametrize("kind", ["elan", "boris"])
def test_what_somebody_may_have_corrected_is_not_overwritten(out: Path, kind: Format) -> None:
    *_, last = export(out, kind, out / "x")
    last.write_text("corrected")
    with pytest.raises(OutputError, match="perhaps with a rater's corrections"):
        export(out, kind, out / "x")
    assert last.read_text() == "corrected"


def test_a_reading_that_no_session_has_is_refused(out: Path) -> None:
    with pytest.raises(InputError, match="no session has the reading corrected"):
        export(out, "elan", out / "x", "corrected")
    assert not (out / "x").exists()


def test_the_corrected_reading(derived_small_study: Path, tmp_path: Path) -> None:
    assert len(export(derived_small_study, "elan", tmp_path, "corrected")) == 32
    own = read_episodes(derived_small_study, "P03", "S01").filter(pl.col("reading") == "corrected")
    root = etree.parse(tmp_path / "P03_S01.eaf").getroot()
    assert [one.text for one in root.iterfind("TIER/ANNOTATION/*/ANNOTATION_VALUE")] == own[
        "emotion"
    ].to_list()


# --- BORIS


def test_boris_round_trip(out: Path) -> None:
    (path,) = export(out, "boris", out / "x")
    assert_the_same_episodes(out, read_back(out, path))
    project = json.loads(path.read_text())
    assert [one["code"] for one in project["behaviors_conf"].values()] == [*EMOTIONS, *STATES]
    assert len({one["key"] for one in project["behaviors_conf"].values()}) == len(EMOTIONS) + len(STATES)
    second = project["observations"]["P1_S2"]
    assert second["file"]["1"] == ["a b.mp4", "c.mp4"]
    assert second["media_info"]["length"] == pytest.approx({"a b.mp4": 20, "c.mp4": 15.2})
    assert second["date"] == "2026-03-02T10:30:00.000"


def test_boris_s_own_code_opens_checks_and_exports_the_project(out: Path) -> None:
    if importlib.util.find_spec("boris") is None:
        pytest.skip("needs boris-behav-obs (without its dependencies: pip install --no-deps)")
    (path,) = export(out, "boris", out / "x")
    folder = out / "by_boris"
    folder.mkdir()
    program = Path(__file__).parents[1] / "support" / "boris_without_screen.py"
    command = [sys.executable, program, path, folder]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert (found["error"], found["message"], found["changed"], found["integrity"]) == ("", "", False, "")
    assert found["paired"] == [[True, "No problem detected"]] * 2
    assert found["exports"] == [[True, ""]] * 2
    tabular, aggregated = sorted(folder.glob("*.tsv")), sorted(folder.glob("*.csv"))
    for files in (tabular, aggregated):
        assert len(files) == 2
        assert_the_same_episodes(out, read_back(out, *files))
    assert len(AGGREGATED) == len(aggregated[0].read_text().splitlines()[1].split(","))
