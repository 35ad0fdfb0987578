"""Tables that raters' pages save, also as spreadsheets and people change them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.agreement.clip_sampling import DrawSettings, write_clips
from pipeline.agreement.rated_clips import (
    RATED_COLUMNS,
    Clip,
    clips_path,
    is_clip_table,
    read_clips,
    read_rated_clips,
)
from pipeline.errors import InputError, TimelineError
from pipeline.store.encryption import is_encrypted, use_key, use_no_key, write_key

CLIPS = [
    Clip("d1a2b", number, "P1", "S1", "calm", 4.0 * number, 4.0 * number + 4, "happy", 0.9, 2.5, ("anna",))
    for number in (1, 2, 3)
]
BY_KEY = {clip.key: clip for clip in CLIPS}


def line(clip: int, code: str = "happy", rater: str = "anna", saved_at: str = "2026-05-01T10:00:00") -> str:
    cells = {"draw": "d1a2b", "clip": str(clip), "rater": rater, "code": code, "saved_at": saved_at}
    return ";".join(cells.get(name, "") for name in RATED_COLUMNS)


def table(path: Path, *lines: str, separator: str = ";") -> Path:
    text = "\r\n".join([";".join(RATED_COLUMNS), *lines, ""])
    path.write_text(text.replace(";", separator), encoding="utf-8-sig")
    return path


def codes(*tables: Path) -> dict[tuple[int, str], str]:
    found, _ = read_rated_clips(tables, BY_KEY)
    return {(one.clip.clip, one.rater): one.code for one in found}


def test_drawn_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips were drawn"):
        read_clips(tmp_path)
    write_clips(tmp_path, CLIPS)
    assert read_clips(tmp_path) == CLIPS


def test_drawn_clips_are_encrypted_with_the_folder(tmp_path: Path) -> None:
    use_key(write_key(tmp_path / "key"))
    try:
        write_clips(tmp_path, CLIPS)
        assert is_encrypted(clips_path(tmp_path))
        assert read_clips(tmp_path) == CLIPS
    finally:
        use_no_key()
    with pytest.raises(InputError, match="is encrypted"):
        read_clips(tmp_path)


def test_another_table_is_no_table_of_clips(tmp_path: Path) -> None:
    clips_path(tmp_path).parent.mkdir()
    clips_path(tmp_path).write_bytes(b"PAR1")
    with pytest.raises(TimelineError):
        read_clips(tmp_path)
    write_clips(tmp_path, CLIPS)
    pq.write_table(pq.read_table(clips_path(tmp_path)).drop_columns("weight"), clips_path(tmp_path))
    with pytest.raises(InputError, match="of another version"):
        read_clips(tmp_path)


def test_what_a_page_saves_is_told_from_other_ratings(tmp_path: Path) -> None:
    assert is_clip_table(table(tmp_path / "a.csv", line(1)))
    assert is_clip_table(table(tmp_path / "b.csv", line(1), separator=","))
    other = tmp_path / "P1_S1_anna.csv"
    other.write_text("start_s;end_s;code\n0;1;happy\n")
    assert not is_clip_table(other)
    assert not is_clip_table(tmp_path / "P1_S1.eaf")


def test_an_empty_table_has_no_answers(tmp_path: Path) -> None:
    assert codes(table(tmp_path / "a.csv")) == {}


@pytest.mark.parametrize("separator", [";", ","])
def test_answers_are_read(tmp_path: Path, separator: str) -> None:
    path = table(tmp_path / "a.csv", line(1), line(2, "?"), line(1, "sad", "ben"), separator=separator)
    assert codes(path) == {(1, "anna"): "happy", (1, "ben"): "sad", (2, "anna"): "?"}


def test_of_two_answers_the_later_one_counts(tmp_path: Path) -> None:
    early = table(tmp_path / "rating_anna.csv", line(1, "happy"), line(2, "sad"))
    late = table(tmp_path / "rating_anna (1).csv", line(1, "neutral", saved_at="2026-05-01T11:30:00"))
    wanted = {(1, "anna"): "neutral", (2, "anna"): "sad"}
    assert codes(early, late) == codes(late, early) == wanted


def test_clips_of_another_study_are_left_out_and_counted(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", line(1), line(9))
    found, notes = read_rated_clips([path], BY_KEY)
    assert [one.clip.clip for one in found] == [1]
    assert notes == ["a.csv: 1 of its clips were not drawn in this folder, and are left out"]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (line(1, "joy"), "'joy' is no answer"),
        (line(1, ""), "is no answer"),
        (line(1, rater=""), "is no answer"),
        (line(1).replace(";1;", ";one;"), "'one' is not a clip number"),
    ],
)
def test_a_changed_table_is_refused_with_its_row(tmp_path: Path, changed: str, wrong: str) -> None:
    path = table(tmp_path / "a.csv", line(2), changed)
    with pytest.raises(InputError, match=f"a.csv: row 3: .*{wrong}"):
        read_rated_clips([path], BY_KEY)


def test_of_two_answers_the_later_one_counts_however_a_spreadsheet_writes_its_time(tmp_path: Path) -> None:
    page = table(tmp_path / "a.csv", line(1, saved_at="2026-05-01T10:00:00"), line(2))
    later = table(tmp_path / "b.csv", line(1, "sad", saved_at="2026-05-01 11:00"), line(2))
    for paths in ((page, later), (later, page)):
        found, notes = read_rated_clips(paths, BY_KEY)
        assert {one.clip.clip: one.code for one in found} == {1: "sad", 2: "happy"}
        assert [note.partition(",")[0] for note in notes] == ["anna: 1 clip answered twice and differently"]


def test_two_answers_without_a_readable_time_are_refused(tmp_path: Path) -> None:
    page = table(tmp_path / "a.csv", line(1))
    changed = table(tmp_path / "b.csv", line(1, "sad", saved_at="01/05/2026 11:00"))
    assert codes(changed) == {(1, "anna"): "sad"}
    with pytest.raises(InputError, match="does not tell when; keep only the newest table"):
        codes(page, changed)


def test_rows_that_were_mixed_up_are_refused(tmp_path: Path) -> None:
    other = Clip("d1a2b", 4, "P2", "S1", "calm", 0.0, 4.0, "happy", 0.9, 2.5, ("anna",))
    cells = {"draw": "d1a2b", "clip": "1", "rater": "anna", "code": "sad", "session_id": "S1"}
    for patient, wrong in (("P2", True), ("P1", False), ("1", False)):  # a spreadsheet may change an id
        row = ";".join({**cells, "patient_id": patient}.get(name, "") for name in RATED_COLUMNS)
        path = table(tmp_path / "a.csv", row)
        if wrong:
            with pytest.raises(InputError, match="clip 1 is of P1 S1, not of P2 S1; the rows were mixed up"):
                read_rated_clips([path], {**BY_KEY, other.key: other})
        else:
            assert read_rated_clips([path], {**BY_KEY, other.key: other})[0][0].code == "sad"


@pytest.mark.parametrize(("said", "flags"), [("yes", {"asleep"}), ("YES", {"asleep"}), ("", set())])
def test_a_flag_is_yes_or_empty(tmp_path: Path, said: str, flags: set[str]) -> None:
    cells = {"draw": "d1a2b", "clip": "1", "rater": "anna", "code": "sad", "asleep": said}
    row = ";".join(cells.get(name, "") for name in RATED_COLUMNS)
    assert read_rated_clips([table(tmp_path / "a.csv", row)], BY_KEY)[0][0].flags == flags
    with pytest.raises(InputError, match="'oui' is no answer"):
        codes(table(tmp_path / "a.csv", row.replace(said, "oui") if said else row[:-1] + "oui;"))


def test_no_rater_has_the_machines_name(tmp_path: Path) -> None:
    assert codes(table(tmp_path / "a.csv", line(1, rater="machine"))) == {(1, "rater machine"): "happy"}
    with pytest.raises(InputError, match="reserved for the machine"):
        DrawSettings(raters=("Machine",))
