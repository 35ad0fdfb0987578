"""analysis.event_locked: averages around events, against hand-computed results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipeline.analysis.episodes import Observed
from pipeline.analysis.events import Event
from pipeline.errors import InputError
from pipeline.records import Ids
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline
from pipeline.study.event_locked import ALL, average_windows, read_event_averages, write_events
from pipeline.study.event_windows import (
    MEASURES,
    EventSettings,
    Load,
    Recorded,
    find_windows,
    read_windows,
    recorded_of,
)

BY_HAND = EventSettings(before_s=2, after_s=3, matched=2, clusters=2, resamples=500)

SHARE = MEASURES.index(("share", "positive"))


def around_events(
    events: list[Event], conditions: dict[Ids, str], load: Load, settings: EventSettings
) -> list[dict[str, Any]]:
    return average_windows(events, find_windows(events, conditions, load, settings), settings)


def session(
    smiles: list[tuple[float, float]],
    unseen: list[tuple[float, float]] = (),  # type: ignore[assignment]
    *,
    end_s: float = 60,
    step_s: float = 0.2,
) -> Recorded:
    """Smiling in these stretches, with nothing else to be seen; and not seen in others."""
    start_s = np.round(np.arange(0, end_s, step_s), 6)
    seen = ~within(start_s, list(unseen))
    happy = within(start_s, smiles)[seen].astype(float)
    values = np.zeros((len(happy), len(MEASURES)))
    values[:, SHARE] = happy
    samples = Observed(start_s[seen], np.full(len(happy), step_s), np.zeros((len(happy), 7)))
    return Recorded(samples, values, 0.0, end_s)


def within(times: np.ndarray, stretches: list[tuple[float, float]]) -> np.ndarray:
    inside = np.zeros(len(times), bool)
    for start, end in stretches:
        inside |= (times >= start - 1e-9) & (times < end - 1e-9)
    return inside


def rows(
    events: list[Event],
    recorded: dict[Ids, Recorded],
    settings: EventSettings = BY_HAND,
    what: str | None = None,
    conditions: dict[Ids, str] | None = None,
) -> pl.DataFrame:
    """Of the share of smiling."""
    conditions = conditions or dict.fromkeys(recorded, "music")
    made = around_events(events, conditions, recorded.__getitem__, settings)
    found = pl.DataFrame(made, infer_schema_length=None)
    chosen = found.filter(measure="share", of="positive")
    return chosen if what is None else chosen.filter(what=what)


def at(patient: str, time_s: float, what: str = "song", session_id: str = "S1") -> Event:
    return Event(patient, session_id, time_s, what)


def test_bins_are_as_worked_out_by_hand() -> None:
    """Two events: one patient smiles from the event on for 1.6 s, the other a second later for one."""
    recorded = {("A", "S1"): session([(20, 21.6)]), ("B", "S1"): session([(31, 32)])}
    found = rows([at("A", 20), at("B", 30)], recorded)
    assert found["from_s"].to_list() == [-2, -1, 0, 1, 2]
    assert found["to_s"].to_list() == [-1, 0, 1, 2, 3]
    # of the second bin after the event A smiled for 0.6 s, B for all of it
    assert found["value"].to_list() == pytest.approx([0, 0, 0.5, 0.8, 0])
    assert found["events"].to_list() == found["patients"].to_list() == [2] * 5
    assert found["matched"].to_list() == pytest.approx([0] * 5)
    assert found["difference"].to_list() == pytest.approx([0, 0, 0.5, 0.8, 0])


def test_an_event_between_samples_parts_them() -> None:
    """Half a second of smiling from 0.1 s before the event on: 0.4 s of the first second after it."""
    found = rows([at("A", 20.1), at("A", 40)], {("A", "S1"): session([(20, 20.4)])})
    # the first by hand: 0.1 s before it, 0.3 s after it; the second never
    assert found["value"].to_list() == pytest.approx([0, 0.05, 0.15, 0, 0])


def test_what_was_not_observed_does_not_count() -> None:
    """In the first second after A's event nobody was seen, in the next for 0.4 s, then for 0.6 s, smiling."""
    away = [(20.0, 21.6), (22.6, 23.0)]
    recorded = {("A", "S1"): session([(20, 23)], away), ("B", "S1"): session([])}
    found = rows([at("A", 20), at("B", 30)], recorded)
    assert found["events"].to_list() == [2, 2, 1, 1, 2]
    assert found["patients"].to_list() == [2, 2, 1, 1, 2]
    assert found["value"].to_list() == pytest.approx([0, 0, 0, 0, 0.5])


def test_nothing_observed_is_no_number() -> None:
    found = rows([at("A", 20)], {("A", "S1"): session([], [(0, 60)])})
    assert found["events"].to_list() == [0] * 5
    for name in ("value", "value_low", "matched", "difference"):
        assert found[name].null_count() == 5


def test_a_session_that_ends_leaves_the_rest_unobserved() -> None:
    found = rows([at("A", 59)], {("A", "S1"): session([])})
    assert found["events"].to_list() == [1, 1, 1, 0, 0]


def test_matched_moments_are_of_the_session_and_away_from_events() -> None:
    """Smiling all the time but within 5 s of the event: at every matched moment it is 1."""
    recorded = {("A", "S1"): session([(0, 25), (35, 60)]), ("A", "S2"): session([])}
    found = rows([at("A", 30)], recorded)
    assert found["value"].to_list() == [0] * 5
    assert found["matched"].to_list() == pytest.approx([1] * 5)
    assert found["moments"].to_list() == [2] * 5
    assert found["difference"].to_list() == pytest.approx([-1] * 5)


def test_where_a_session_has_no_room_another_of_the_same_condition_is_taken() -> None:
    recorded = {
        ("A", "S1"): session([], end_s=8),
        ("A", "S2"): session([(0, 60)]),
        ("A", "S3"): session([]),
        ("B", "S1"): session([]),
    }
    conditions = dict.fromkeys(recorded, "music") | {("A", "S3"): "baseline"}
    found = rows([at("A", 4)], recorded, conditions=conditions)
    assert found["matched"].to_list() == pytest.approx([1] * 5)
    del conditions["A", "S2"]
    alone = {ids: recorded[ids] for ids in conditions}
    found = rows([at("A", 4)], alone, conditions=conditions)
    assert found["moments"].to_list() == found["pairs"].to_list() == [0] * 5
    assert found["difference"].null_count() == 5
    assert found["value"].null_count() == 0


def test_both_means_are_of_the_events_whose_difference_is_told() -> None:
    """A is calm at the event and smiles else; B smiles at two events, and has no moment away from them."""
    recorded = {("A", "S1"): session([(0, 25), (35, 60)]), ("B", "S1"): session([(0, 10)], end_s=10)}
    found = rows([at("A", 30), at("B", 3), at("B", 6)], recorded)
    assert found["value"].to_list() == pytest.approx([0] * 5)
    assert found["matched"].to_list() == pytest.approx([1] * 5)
    assert found["difference"].to_list() == pytest.approx([-1] * 5)
    for name in ("events", "pairs", "patients"):
        assert found[name].to_list() == [1] * 5
    alone = rows([at("B", 3), at("B", 6)], recorded)
    assert alone["value"].to_list() == pytest.approx([1] * 5)
    assert alone["events"].to_list() == [2] * 5
    assert alone["matched"].null_count() == 5


def test_an_event_counts_once_however_many_of_its_moments_were_observed() -> None:
    """In half of the bins of A's moments nobody was seen; of B's nothing is missing."""
    random = np.random.default_rng(3)
    smiles = [(float(start), start + 0.6) for start in random.uniform(0, 300, 200)]
    unseen = [(float(start), start + 0.6) for start in random.uniform(0, 300, 150)]
    recorded = {
        ("A", "S1"): session(smiles, unseen, end_s=300),
        ("B", "S1"): session(smiles[:40], end_s=300),
    }
    events = [at("A", 50), at("B", 60), at("B", 150), at("A", 222)]
    found = rows(events, recorded, replace(BY_HAND, matched=5))
    assert found["moments"].n_unique() > 1
    assert (found["value"] - found["matched"]).to_list() == pytest.approx(found["difference"].to_list())


def test_kinds_are_averaged_apart_and_together() -> None:
    recorded = {("A", "S1"): session([(10, 13)]), ("B", "S1"): session([])}
    events = [at("A", 10, "song"), at("B", 10, "walk")]
    assert rows(events, recorded)["what"].unique().sort().to_list() == [ALL, "song", "walk"]
    assert rows(events, recorded, what="song")["value"].to_list() == pytest.approx([0, 0, 1, 1, 1])
    assert rows(events, recorded, what=ALL)["value"].to_list() == pytest.approx([0, 0, 0.5, 0.5, 0.5])
    assert rows(events[:1], recorded)["what"].unique().to_list() == ["song"]


def test_the_same_seed_is_the_same_table() -> None:
    recorded = {("A", "S1"): session([(10, 13), (40, 44)]), ("B", "S1"): session([(5, 9)])}
    events = [at("A", 20), at("B", 30)]
    assert rows(events, recorded).equals(rows(events, recorded))
    other = rows(events, recorded, replace(BY_HAND, seed=1))
    assert not other.equals(rows(events, recorded))


def test_patients_are_resampled_whole() -> None:
    """A hundred events of a patient who always smiles, and of one who never does, are two patients."""
    recorded = {("A", "S1"): session([(0, 600)], end_s=600), ("B", "S1"): session([], end_s=600)}
    events = [at(who, 5.0 * k) for who in "AB" for k in range(1, 100)]
    found = rows(events, recorded)
    assert found["value"].to_list() == pytest.approx([0.5] * 5)
    assert found["value_low"].to_list() == pytest.approx([0] * 5)
    assert found["value_high"].to_list() == pytest.approx([1] * 5)
    assert found["clusters"].unique().to_list() == ["patients"]


def test_with_few_patients_sessions_are_resampled_and_with_few_of_them_nothing() -> None:
    recorded = {("A", f"S{k}"): session([(20, 20 + k)]) for k in range(4)}
    events = [at("A", 20, session_id=f"S{k}") for k in range(4)]
    few = rows(events, recorded, replace(BY_HAND, clusters=4))
    assert few["clusters"].unique().to_list() == ["sessions"]
    assert few["value_low"].null_count() == 0
    none = rows(events, recorded, replace(BY_HAND, clusters=5))
    assert none["clusters"].unique().to_list() == ["nothing"]
    assert none["value_low"].null_count() == 5


def test_intervals_hold_the_truth_in_about_nineteen_of_twenty_studies() -> None:
    """Eight patients, who smile at a song with chances of their own; 0.5 on average."""
    random = np.random.default_rng(0)
    settings = EventSettings(before_s=0, after_s=1, matched=1, clusters=5, resamples=400)
    held, trials = 0, 150
    for _ in range(trials):
        recorded, events = {}, []
        for patient in map(str, range(8)):
            times = 20.0 * np.arange(1, 7)
            smiled = times[random.random(6) < random.beta(3, 3)]
            recorded[patient, "S1"] = session([(time, time + 1) for time in smiled], end_s=150, step_s=0.5)
            events += [at(patient, float(time)) for time in times]
        (row,) = rows(events, recorded, settings).rows(named=True)
        held += row["value_low"] <= 0.5 <= row["value_high"]
    # 150 studies tell 95 % from 87 and from 100
    assert 0.88 <= held / trials <= 0.995


@pytest.mark.parametrize(
    "wrong",
    [
        {"bin_s": 0},
        {"bin_s": 0.7},
        {"before_s": -1},
        {"bin_s": 0.01},
        {"min_observed": 0},
        {"matched": 0},
        {"clusters": 1},
    ],
)
def test_settings_that_make_no_bins_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        EventSettings(**wrong)


# --- a folder


def test_songs_of_the_made_study_bring_smiles(raw_study: Path, tmp_path: Path) -> None:
    """They were made likelier for eight seconds, from a second after the song's begin on."""
    out = tmp_path
    (out / "timelines").symlink_to(raw_study / "timelines")
    assert write_events(out, raw_study / "events.csv") == ()
    found = read_event_averages(out).filter(measure="share", of="positive")
    assert found["what"].unique().to_list() == ["song begins"]
    before = found.filter(pl.col("to_s") <= 0)
    after = found.filter(pl.col("from_s") >= 5, pl.col("to_s") <= 12)
    # by chance one of the ten intervals may lie apart from zero
    assert ((before["difference_low"] > 0) | (before["difference_high"] < 0)).sum() <= 1
    assert (after["difference"] > 0.05).all()
    assert (after["difference_low"] > 0).sum() >= 3
    assert (found["events"] <= 108).all()


def test_a_list_with_problems_writes_nothing(raw_study: Path, tmp_path: Path) -> None:
    listed = tmp_path / "events.csv"
    listed.write_text("session_id;time_s;what\nS01;10;song\n")
    (tmp_path / "timelines").symlink_to(raw_study / "timelines")
    problems = write_events(tmp_path, listed)
    assert [str(problem) for problem in problems] == [
        "row 2, session_id: 12 patients have a session 'S01'; name one."
    ]
    assert not (tmp_path / "summaries").exists()


def test_rows_without_a_fault_are_used(raw_study: Path, tmp_path: Path) -> None:
    listed, whole = tmp_path / "events.csv", (raw_study / "events.csv").read_text(encoding="utf-8")
    (tmp_path / "timelines").symlink_to(raw_study / "timelines")
    listed.write_text(whole, encoding="utf-8")
    assert write_events(tmp_path, listed) == ()
    right = read_event_averages(tmp_path)
    listed.write_text(f"{whole}P01,S99,10,song begins\n", encoding="utf-8")
    (problem,) = write_events(tmp_path, listed)
    assert problem.reason == "there is no session 'S99' here."
    assert read_event_averages(tmp_path).equals(right)


def test_a_header_with_a_fault_is_one_of_every_row(raw_study: Path, tmp_path: Path) -> None:
    listed = tmp_path / "events.csv"
    listed.write_text("patient_id;session_id;time_s;what;time\nP01;S01;10;song;20\n", encoding="utf-8")
    (tmp_path / "timelines").symlink_to(raw_study / "timelines")
    (problem,) = write_events(tmp_path, listed)
    assert problem.row == 1
    assert not (tmp_path / "summaries").exists()


def test_values_are_those_of_the_timeline(raw_study: Path) -> None:
    """Probability, share and valence of one bin, from the columns of the timeline itself."""
    timeline = read_timeline(timeline_path(raw_study, "P01", "S01"))
    ok = timeline.rows.filter(pl.col("p_happy").is_not_null())
    time_s = float(ok["time_s"][200])
    event, recorded = at("P01", time_s, session_id="S01"), recorded_of(timeline)
    made = around_events([event], {event.ids: ""}, lambda ids: recorded, BY_HAND)
    found = pl.DataFrame(made, infer_schema_length=None).filter(from_s=0)
    second = ok.filter(pl.col("time_s") >= time_s - 1e-9, pl.col("time_s") < time_s + 1 - 1e-9)
    assert second.height == 5
    value = {(row["measure"], row["of"]): row["value"] for row in found.iter_rows(named=True)}
    negative = second.select(pl.sum_horizontal("p_angry", "p_disgust", "p_fear", "p_sad")).to_series()
    assert value["probability", "negative"] == pytest.approx(negative.mean(), abs=1e-6)
    assert value["probability", "positive"] == pytest.approx(second["p_happy"].mean(), abs=1e-6)
    assert value["share", "neutral"] == pytest.approx((second["emotion"].cast(pl.String) == "neutral").mean())
    assert value["valence", ""] == pytest.approx(second["valence"].mean(), abs=1e-6)


# --- windows


def test_the_moments_of_an_event_do_not_depend_on_those_of_others() -> None:
    recorded = {
        (who, "S1"): session([(7.0 * k, 7.0 * k + 1.7) for k in range(40)], end_s=300) for who in "ABC"
    }
    conditions = dict.fromkeys(recorded, "music")
    load, settings = recorded.__getitem__, replace(BY_HAND, matched=3)
    alone = find_windows([at("B", 50)], conditions, load, settings)[("B", "S1"), 50.0]
    events = [at("A", 50), at("B", 50), at("C", 50)]
    found = find_windows(events, conditions, load, settings)
    assert found[("B", "S1"), 50.0].matched.tolist() == alone.matched.tolist()
    # the recordings are the same, the draws are not
    assert len({str(window.matched[:, SHARE]) for window in found.values()}) == 3


def test_a_window_is_stored_with_the_mean_of_its_moments(raw_study: Path, tmp_path: Path) -> None:
    """With more moments wanted than there are, all count: their mean, from the columns of the timeline."""
    (tmp_path / "timelines").symlink_to(raw_study / "timelines")
    listed = tmp_path / "events.csv"
    listed.write_text(
        "patient_id,session_id,time_s,what\nP02,S01,300,song\nP02,S01,300,talk\n", encoding="utf-8"
    )
    assert write_events(tmp_path, listed, EventSettings(before_s=1, after_s=1, matched=10_000)) == ()
    first, second = read_windows(tmp_path).to_dicts()
    assert (first["time_s"], first["from_s"], second["from_s"], second["to_s"]) == (300, -1, 0, 1)
    ok = read_timeline(timeline_path(raw_study, "P02", "S01")).rows.filter(pl.col("p_happy").is_not_null())
    times, happy = ok["time_s"].to_numpy(), ok["p_happy"].to_numpy().astype(float)
    bins = [
        happy[(times > begin - 0.05) & (times < begin + 0.95)] for begin in range(600)
    ]  # five samples each
    here = bins[300]
    assert len(here) == 5
    assert second["probability_positive"] == pytest.approx(here.mean(), abs=1e-6)
    # moments 1 … 599 whose window of 2 s lies apart from that of the event; of them, those seen for half
    seen = [
        one.mean() for moment, one in enumerate(bins) if moment and abs(moment - 300) >= 2 and len(one) >= 3
    ]
    assert second["moments"] == pytest.approx(len(seen), abs=2)
    assert second["matched_probability_positive"] == pytest.approx(np.mean(seen), abs=1e-3)


def test_windows_of_an_earlier_list_do_not_stay(raw_study: Path, tmp_path: Path) -> None:
    (tmp_path / "timelines").symlink_to(raw_study / "timelines")
    listed = tmp_path / "events.csv"
    listed.write_text("patient_id,session_id,time_s,what\nP02,S01,300,song\n", encoding="utf-8")
    write_events(tmp_path, listed)
    listed.write_text("patient_id,session_id,time_s,what,time\nP02,S01,300,song,1\n", encoding="utf-8")
    write_events(tmp_path, listed)
    assert list((tmp_path / "summaries").iterdir()) == []
