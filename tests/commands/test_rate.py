"""`emonext rate`, `agree`, `purge` and consent, from the recordings to the page of agreement."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow.compute as pc
import pytest
from command_line import BAD_INPUT, DONE, Emonext, Ended
from recorded_study import make_recorded_study

from pipeline.agreement.rated_clips import RATED_COLUMNS, clips_path, read_clips
from pipeline.privacy.consent import leave_out
from pipeline.processing.session import Networks
from pipeline.review.annotated_video import open_material
from pipeline.review.rating_clips import _pictures, cut_clips
from pipeline.store.encryption import is_encrypted, use_key, use_no_key
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.status import read_outcomes


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fakes import FAKE_WEIGHTS, find_squares, judge_by_light

    from pipeline.faces.detection import CropSpec

    networks = Networks(find_squares, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")
    return make_recorded_study(tmp_path_factory.mktemp("rate") / "rec", networks)


@pytest.fixture
def run(emonext: Emonext) -> Emonext:
    """Runs a command that must succeed."""

    def done(*arguments: object) -> Ended:
        ended = emonext(*arguments)
        assert ended.code == DONE, ended
        return ended

    return done


@pytest.fixture(scope="module")
def drawn(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test draws the clips."""
    return shutil.copytree(processed, tmp_path_factory.mktemp("drawn") / "study")


@pytest.fixture
def rated(drawn: Path, run: Emonext, tmp_path: Path) -> Path:
    """A study with a draw of six clips; recordings lie where they were."""
    if not clips_path(drawn).exists():
        run("rate", drawn, "--clips", 6, "--rater", "anna", "--rater", "ben", "--overlap", 2)
    return shutil.copytree(drawn, tmp_path / "study")


def answer(out: Path, rater: str, code: str = "happy") -> Path:
    """The table that the rater's page saves if all clips get one answer."""
    lines = [";".join(RATED_COLUMNS)]
    for clip in read_clips(out):
        if rater in clip.raters:
            cells = {name: str(getattr(clip, name, "")) for name in RATED_COLUMNS}
            lines.append(";".join((cells | {"rater": rater, "code": code}).values()))
    path = out / "ratings" / f"rating_{rater}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


def draw_of(out: Path, key: Path) -> str:
    """The newest draw of an encrypted folder."""
    use_key(key)
    return read_clips(out)[-1].draw


def test_each_rater_gets_a_page(rated: Path) -> None:
    clips = read_clips(rated)
    assert len(clips) == 6
    assert {clip.patient_id for clip in clips} == {"P1", "P2"}  # P3's seat is not known
    assert sum(len(clip.raters) == 2 for clip in clips) == 2
    for rater in ("anna", "ben"):
        path = rated / "rating" / f"{rater}_{clips[0].draw}.html"
        page = path.read_text(encoding="utf-8")
        data = json.loads(re.search(r'id="rate-data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
        kept = json.loads(data["clips"])
        assert len(kept["films"]) == sum(rater in clip.raters for clip in clips) == 4
        assert oct(path.stat().st_mode)[-2:] == "00"


def test_what_was_left_out_is_said_and_a_second_run_draws_nothing_new(
    rated: Path, run: Emonext, emonext: Emonext
) -> None:
    before = read_clips(rated)
    again = run("rate", rated)
    assert "6 clips of 2 patients, drawn earlier." in again.out
    assert read_clips(rated) == before
    refused = emonext("rate", rated, "--clips", 3)
    assert refused.code == BAD_INPUT
    assert "--clips: only valid with --new" in refused.err
    new = run("rate", rated, "--new", "--clips", 3)
    assert "Left out: P3 S1: it is not certain who the patient is" in new.err
    assert "3 clips of" in new.out
    assert len(read_clips(rated)) == 9


def test_a_film_shows_the_patient_for_the_clip(rated: Path) -> None:
    clips = [clip for clip in read_clips(rated) if clip.patient_id == "P2"]
    films, left_out = cut_clips(rated, clips)
    assert (len(films), left_out) == (len(clips), {})
    for film in films.values():
        with av.open(io.BytesIO(film)) as container:
            assert not container.streams.audio
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(pictures) == 40  # 4 s at 10/s
        red = np.median([picture[..., 0].max() for picture in pictures])
        assert red > 120


def test_other_people_are_blurred(rated: Path) -> None:
    material = open_material(rated, "P1", "S1")
    time_s, blurred = next(_pictures(material, 4.0, 8.0))
    original = material.recording.picture_at(40)
    assert original is not None
    assert time_s == pytest.approx(4.0)
    changed = np.abs(np.asarray(blurred).astype(int) - original).max(axis=2) > 20
    assert changed[60:120, 220:280].mean() > 0.3  # the carer
    assert not changed[:, :120].any()  # the patient


def test_answers_are_compared_with_the_machine(rated: Path, run: Emonext) -> None:
    answer(rated, "anna"), answer(rated, "ben")
    ended = run("agree", rated)
    assert "between anna and ben, weighted back to the study" in ended.out
    figures = json.loads((rated / "agreement" / "figures.json").read_text())["clips"]
    assert figures["drawn"] == 6
    same = next(
        one["same"] for one in figures["comparisons"] if (one["first"], one["second"]) == ("anna", "ben")
    )
    assert (same["value"], same["n"]) == (1.0, 2)
    assert "by_patient" not in json.dumps(figures)
    page = (rated / "reports" / "agreement.html").read_text(encoding="utf-8")
    assert "Clips drawn from the study" in page
    assert "Second by second" not in page  # nothing was coded


def test_clips_and_codes_are_compared_side_by_side(rated: Path, run: Emonext) -> None:
    answer(rated, "anna")
    (rated / "ratings" / "P1_S1_ben.csv").write_text("start_s;end_s;code\n0;8;happy\n8;12;sad\n")
    run("agree", rated)
    page = (rated / "reports" / "agreement.html").read_text(encoding="utf-8")
    assert "Clips drawn from the study" in page
    assert "Second by second" in page


def test_a_purge_removes_clips_pages_and_ratings(rated: Path, run: Emonext) -> None:
    table = answer(rated, "anna")
    run("agree", rated)
    purged = run("purge", rated, "--patient", "P1", "--yes")
    assert "`emonext rate` writes it again" in purged.out
    assert not list((rated / "rating").glob("*.html"))
    assert {clip.patient_id for clip in read_clips(rated)} == {"P2"}
    assert "P1" not in table.read_text(encoding="utf-8-sig")
    assert "P2" in table.read_text(encoding="utf-8-sig")
    run("rate", rated)
    pages = [path.read_text(encoding="utf-8") for path in (rated / "rating").glob("*.html")]
    assert pages
    assert not any('\\"P1\\"' in page for page in pages)
    run("agree", rated)


def test_without_consent_nothing_of_the_session_is_shown(rated: Path, run: Emonext) -> None:
    answer(rated, "anna")
    for session in ("S1", "S2"):
        leave_out(rated, ("P1", session))
    assert not list((rated / "rating").glob("*.html"))
    assert {clip.patient_id for clip in read_clips(rated)} == {"P2"}
    assert "of 1 patient, drawn earlier" in run("rate", rated).out
    assert "were not drawn in this folder" in run("agree", rated).err


def test_with_a_key_pages_have_passwords_and_clips_are_encrypted(
    rated: Path, run: Emonext, tmp_path: Path
) -> None:
    key = tmp_path / "study.key"
    run("key", key)
    try:
        said = run("rate", rated, "--new", "--clips", 2, "--rater", "anna", "--key", key).out
        word = re.search(r"password (\S+)", said)
        assert word
        page = (rated / "rating" / f"anna_{draw_of(rated, key)}.html").read_text(encoding="utf-8")
        assert '"P1' not in page
        assert '"P2' not in page
        assert word[1] not in page
        assert is_encrypted(clips_path(rated))
        use_key(key)
        assert len(read_clips(rated)) == 8
    finally:
        use_no_key()


def test_a_recording_that_is_gone_leaves_its_clips_out(rated: Path, run: Emonext, emonext: Emonext) -> None:
    recordings = Path(read_outcomes(rated)["P2", "S1"].videos[0]).parent
    away = recordings.rename(recordings.with_name("away"))
    try:
        ended = emonext("rate", rated)
        assert ended.code == BAD_INPUT
        assert "Left out: P1 S1: its recording is not where it was" in ended.err
        assert "put the recordings back" in ended.err
        recordings.mkdir()
        shutil.copy(away / "P2_S1.mp4", recordings)
        assert "clips of 1 patient" in run("rate", rated).out
    finally:
        shutil.rmtree(recordings, ignore_errors=True)
        away.rename(recordings)


def test_after_another_person_became_the_patient_their_clips_do_not_count(rated: Path, run: Emonext) -> None:
    answer(rated, "anna")
    path = timeline_path(rated, "P1", "S1")
    table = read_table(path)
    moved = pc.add(table["x1"], 200.0), pc.add(table["x2"], 200.0)
    for name, values in zip(("x1", "x2"), moved, strict=True):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), values.cast(table.schema.field(name).type))
    write_table(path, table, read_metadata(path))
    own = sum(clip.ids == ("P1", "S1") for clip in read_clips(rated))
    run("agree", rated)
    assert "left out: the machine reads no face there any more, or the patient" in (
        rated / "reports" / "agreement.html"
    ).read_text(encoding="utf-8")
    again = run("rate", rated)
    assert "Left out: P1 S1: the patient is another person" in again.err
    assert f"{len(read_clips(rated)) - own} clips of" in again.out


def test_clips_of_a_session_that_is_gone_are_left_out(rated: Path, run: Emonext) -> None:
    answer(rated, "anna")
    timeline_path(rated, "P1", "S1").unlink()
    run("agree", rated)
    page = (rated / "reports" / "agreement.html").read_text(encoding="utf-8")
    assert "left out: the machine reads no face there any more" in page


def test_a_second_detection_of_the_patient_does_not_hide_the_face(rated: Path) -> None:
    material = open_material(rated, "P2", "S1")
    faces = material.faces.rows
    twice = faces.slice(10, 1).with_columns(
        track=pl.lit(99, faces.schema["track"]), role=pl.lit("other").cast(faces.schema["role"])
    )
    doubled = replace(material, faces=replace(material.faces, rows=pl.concat([faces, twice])))
    time_s = float(twice["time_s"][0])
    _, picture = next(_pictures(doubled, time_s, time_s + 1))
    _, right = next(_pictures(material, time_s, time_s + 1))
    assert np.array_equal(np.asarray(picture), np.asarray(right))
