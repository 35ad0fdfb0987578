"""agreement.adapting, agreement.adjusted_shares: from raters' tables to a study's own calibration."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from simulated_raters import draw_clips, rate_truly, shown_in, write_answers
from timelines import make_timeline, put

from pipeline.agreement.adapting import (
    PATIENTS,
    SESSIONS,
    as_rated_samples,
    clip_tables,
    estimate,
    read_rated_study,
    told,
    told_of_own,
)
from pipeline.agreement.adjusted_shares import (
    ALL,
    AdjustedShare,
    adjusted_shares,
    lines,
    read_adjusted_shares,
    write_adjusted_shares,
)
from pipeline.errors import InputError
from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import Change, HeldOutTest, clip_answers, unchanged
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import DECIMALS, Decimal, keep_decimal


@pytest.fixture(scope="module")
def made(raw_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made study, rated truly: the machine is less sure than it could be, and four faces look sad."""
    out = shutil.copytree(raw_study, tmp_path_factory.mktemp("made") / "out")
    rate_truly(out, 160)
    return out


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    for name in ("timelines", "truth"):
        (tmp_path / name).symlink_to(made / name)
    for name in ("ratings", "rating"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def test_without_tables_of_clips_it_names_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of rated clips; draw clips with `emonext rate"):
        clip_tables(tmp_path, [])
    (tmp_path / "ratings").mkdir()
    (tmp_path / "ratings" / "anna.csv").write_text("patient_id;session_id;start_s;end_s;code\n")
    with pytest.raises(InputError, match="no table of rated clips"):
        clip_tables(tmp_path, [])
    with pytest.raises(InputError, match=r"gone\.csv: no such file or folder"):
        clip_tables(tmp_path, [tmp_path / "gone.csv"])


def test_other_ratings_in_the_folder_are_no_clip_tables(study: Path, made: Path) -> None:
    assert {path.name for path in (made / "ratings").iterdir()} > {"rater_a.csv", "anna_clips.csv"}
    assert [path.name for path in clip_tables(study, [])] == ["anna_clips.csv"]
    table = study / "ratings" / "anna_clips.csv"
    assert clip_tables(study, [table, table.parent]) == [table]


def test_the_samples_of_a_clip_are_those_within_it(study: Path) -> None:
    rated = read_rated_study(study, clip_tables(study, []))
    one = rated.clips[17]
    rows = pl.read_parquet(timeline_path(study, *one.clip.ids))
    inside = rows.filter(pl.col("time_s").is_between(one.clip.start_s - 0.01, one.clip.end_s - 0.01))
    p = inside.select(f"p_{name}" for name in EMOTIONS).drop_nulls().to_numpy()
    assert np.exp(one.logs) == pytest.approx(np.maximum(p, 1e-4), abs=1e-6)
    assert one.seconds == pytest.approx(np.full(len(p), 0.2))
    answers = clip_answers(as_rated_samples(rated.clips, PATIENTS), unchanged(7))
    assert [EMOTIONS[answer] for answer in answers] == [one.clip.machine for one in rated.clips]


def test_what_cannot_be_used_is_told(study: Path, made: Path) -> None:
    clips = draw_clips(study, 60)
    codes = ["?" if number < 3 else shown_in(made, clip) for number, clip in enumerate(clips)]
    write_answers(study, clips, codes)
    write_answers(study, clips[:10], ["happy"] * 10, "ben")
    rated = read_rated_study(study, clip_tables(study, []))
    assert rated.notes == ()  # ben could tell the three
    assert len(rated.clips) == 60
    assert rated.raters == {"anna", "ben"}
    both = next(one for one in rated.clips if one.clip.clip == 5)
    assert both.votes.sum() == pytest.approx(1)
    assert both.votes[EMOTIONS.index("happy")] >= 0.5
    (study / "ratings" / "ben_clips.csv").unlink()
    rated = read_rated_study(study, clip_tables(study, []))
    assert (len(rated.clips), rated.notes) == (57, ("3 clips only answered by “can't tell” are left out",))


def test_clips_read_with_other_weights_are_left_out(made: Path, tmp_path: Path) -> None:
    for name in ("timelines", "truth", "ratings", "rating"):
        shutil.copytree(made / name, tmp_path / name)
    ids = read_rated_study(tmp_path, clip_tables(tmp_path, [])).clips[0].clip.ids
    path = timeline_path(tmp_path, *ids)
    metadata = dict(read_metadata(path))
    write_table(path, read_table(path), metadata | {"weights": metadata["weights"] | {"sha256": "1" * 64}})
    rated = read_rated_study(tmp_path, clip_tables(tmp_path, []))
    assert rated.weights_sha256 == "0" * 64
    (note,) = rated.notes
    assert note.endswith("read with other weights are left out")
    assert ids not in rated.sessions


def test_truth_about_an_unsure_machine_helps_unseen_patients(study: Path) -> None:
    rated = read_rated_study(study, clip_tables(study, []))
    found = estimate(rated)
    assert (found.clips, found.patients, found.raters, found.unit) == (160, 12, 1, PATIENTS)
    assert found.test.helps
    assert found.test.log_loss.after < 0.6 * found.test.log_loss.before
    assert found.temperature < 0.8
    assert sum(found.offsets.values()) == pytest.approx(0, abs=1e-9)
    assert told(found).startswith("On patients that it had not seen, agreement went from 9")
    assert estimate(rated) == found
    assert found.own.test.helps
    counts = {name: sum(one.clip.patient_id == name for one in rated.clips) for name in rated.patients}
    assert {name: one.clips for name, one in found.own_patients.items()} == {
        name: count for name, count in counts.items() if count >= 10
    }
    assert told_of_own(found).startswith(
        f"For {len(found.own_patients)} of 12 patients, own offsets. On sess"
    )


def test_own_offsets_that_do_not_help_are_given_to_nobody(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = HeldOutTest(11, 140, Change(0.8, 0.8, 0, -0.1, 0.1, -0.1), Change(0.7, 0.8, 0.1, -0.1, 0.3, -0.2))
    monkeypatch.setattr("pipeline.agreement.adapting.session_test", lambda *_: worse)
    found = estimate(read_rated_study(study, clip_tables(study, [])))
    assert found.test.helps
    assert found.own.test == worse
    assert not found.own_patients
    assert told_of_own(found).startswith(
        "No patient has own offsets: of 11 with enough clips, they are no impr"
    )


def test_too_few_clips_of_a_patient_are_told(study: Path, made: Path) -> None:
    clips = draw_clips(study, 60)
    write_answers(study, clips, [shown_in(made, clip) for clip in clips])
    found = estimate(read_rated_study(study, clip_tables(study, [])))
    assert found.own is None
    assert "these need 5 patients with 10 clips each, of 2 sessions" in told_of_own(found)


def test_with_few_patients_sessions_are_left_out_and_it_says_so(study: Path, made: Path) -> None:
    clips = draw_clips(study, 60, patients=("P01", "P02", "P04"))
    write_answers(study, clips, [shown_in(made, clip) for clip in clips])
    found = estimate(read_rated_study(study, clip_tables(study, [])))
    assert (found.unit, found.patients) == (SESSIONS, 3)
    assert told(found).startswith("On other sessions of the same patients (too few patients")


def test_too_few_clips_are_refused(study: Path) -> None:
    clips = draw_clips(study, 20)
    write_answers(study, clips, ["neutral"] * 20)
    with pytest.raises(InputError, match=r"20 usable clips of .* rate more clips"):
        estimate(read_rated_study(study, clip_tables(study, [])))
    write_answers(study, clips, ["?"] * 20)
    with pytest.raises(InputError, match="no rated clip has a usable answer"):
        read_rated_study(study, clip_tables(study, []))


# --- adjusted shares


def misread(out: Path) -> None:
    """Six patients; half of their happy clips look neutral. 100 of 4 s each: 40 happy, 40 neutral, 20 sad."""
    shown = (["happy"] * 2 + ["neutral"] * 2 + ["sad"]) * 20
    random = np.random.default_rng(0)
    for patient in range(1, 7):
        looks = ["neutral" if one == "happy" and random.random() < 0.5 else one for one in shown]
        timeline = make_timeline([(look, 20) for look in looks], f"P{patient}")
        timeline.metadata["session"]["condition"] = "music" if patient > 3 else "rest"
        put(out, timeline, f"P{patient}")
    (out / "truth").mkdir()
    rows = [(f"P{p}", "S1", 4 * k, 4 * k + 4, one) for p in range(1, 7) for k, one in enumerate(shown)]
    names = ["patient_id", "session_id", "start_s", "end_s", "code"]
    pl.DataFrame(rows, names, orient="row").write_csv(out / "truth" / "episodes.csv", separator=",")


def test_shares_are_those_that_raters_would_have_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    misread(tmp_path)
    monkeypatch.setattr("simulated_raters.SESSION_S", 400.0)
    rate_truly(tmp_path, 240)
    rated = read_rated_study(tmp_path, clip_tables(tmp_path, []))
    found = adjusted_shares(tmp_path, rated)
    of_all = {one.of: one for one in found if one.condition == ALL}
    assert {one.condition for one in found} == {ALL, "music", "rest"}
    assert of_all["positive"].read == pytest.approx(0.2, abs=0.03)
    for group, true in (("positive", 0.4), ("neutral", 0.4), ("negative", 0.2)):
        one = of_all[group]
        assert one.low <= true <= one.high
        assert one.share == pytest.approx(true, abs=0.06)
    assert of_all["surprise"].share is None
    assert of_all["surprise"].reason.startswith("0 rated clips of 0 patients, of 10 of 4 that it takes")
    shown = list(lines(found))
    assert len(shown) == 4
    assert "adjusted for misreading" in shown[0]
    write_adjusted_shares(tmp_path, found)
    again = read_adjusted_shares(tmp_path)
    assert [(one.condition, one.of, one.clips, one.reason) for one in again] == [
        (one.condition, one.of, one.clips, one.reason) for one in found
    ]
    assert again[0].share == pytest.approx(found[0].share, abs=1e-4)


def test_a_rare_group_has_a_reason_and_no_number(study: Path) -> None:
    """Of the made study's clips, few are truly negative."""
    clips = draw_clips(study, 60)
    write_answers(study, clips, ["happy" if number % 2 else "neutral" for number in range(60)])
    found = adjusted_shares(study, read_rated_study(study, clip_tables(study, [])))
    assert {one.share for one in found} == {None}
    assert {one.reason for one in found if one.of == "positive"} == {"too few rated clips of negative"}


def test_raters_who_guess_give_no_shares(study: Path) -> None:
    clips = draw_clips(study, 90)
    write_answers(study, clips, [("happy", "neutral", "sad")[number % 3] for number in range(90)])
    found = adjusted_shares(study, read_rated_study(study, clip_tables(study, [])))
    assert {one.share for one in found} == {None}
    assert "tells the groups apart too badly" in next(one.reason for one in found if one.of == "neutral")


@pytest.mark.parametrize("decimal", DECIMALS)
def test_shares_are_read_back_with_either_decimal_mark(decimal: Decimal, tmp_path: Path) -> None:
    keep_decimal(tmp_path, decimal)
    shares = [
        AdjustedShare("", "positive", 12, 0.25, 0.125, 0.5, 0.3, 0.2, 0.45),
        AdjustedShare("music", "negative", 3, 0.5, 0.25, 0.75, reason="too few; of it, really"),
    ]
    write_adjusted_shares(tmp_path, shares)
    assert read_adjusted_shares(tmp_path) == shares


def test_shares_older_than_a_timeline_are_not_shown(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("happy", 20)]))
    assert read_adjusted_shares(tmp_path) == []
    write_adjusted_shares(tmp_path, [])
    assert read_adjusted_shares(tmp_path) == []
    path = tmp_path / "agreement" / "adjusted_shares.csv"
    path.write_text(path.read_text("utf-8-sig") + ",neutral,many,0,0,0,,,,\n")
    with pytest.raises(InputError, match="not as `adapt` wrote it"):
        read_adjusted_shares(tmp_path)
