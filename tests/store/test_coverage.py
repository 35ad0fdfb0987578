"""store.coverage on small, hand-computed timelines."""

import polars as pl
import pytest

from pipeline.records import EMOTIONS, FAULTS, STATUSES
from pipeline.store.coverage import Span, sample_seconds, summarize
from pipeline.store.timeline import Timeline


def timeline(
    *rows: tuple[float, str, str | None, float | None],
    duration_s: float,
    sample_fps: float = 5,
    frame_rate: float = 25,
    parts: list[list[float]] | None = None,
) -> Timeline:
    """From (time_s, status, emotion, valence)."""
    columns = {"patient_id": ["P1"] * len(rows), "session_id": ["S1"] * len(rows)}
    for place, name in enumerate(["time_s", "status", "emotion", "valence"]):
        columns[name] = [row[place] for row in rows]
    columns["fault"] = ["covered" if row[1] == "low_quality" else None for row in rows]
    schema = {
        "patient_id": pl.String,
        "session_id": pl.String,
        "time_s": pl.Float64,
        "status": pl.Categorical,
        "fault": pl.Categorical,
        "emotion": pl.Categorical,
        "valence": pl.Float32,
        "speaking": pl.Float32,
        "chewing": pl.Float32,
        "facing": pl.Categorical,
    }
    columns |= {name: [None] * len(rows) for name in ("speaking", "chewing", "facing")}
    video = {"duration_s": duration_s, "frame_rate": frame_rate}
    session = {"parts": parts or [[0.0, duration_s]]}
    metadata = {"video": video, "session": session, "settings": {"sample_fps": sample_fps}}
    return Timeline(pl.DataFrame(columns, schema), metadata)


def ok(time_s: float, emotion: str, valence: float) -> tuple[float, str, str, float]:
    return time_s, "ok", emotion, valence


def no(time_s: float, status: str = "no_face") -> tuple[float, str, None, None]:
    return time_s, status, None, None


def test_nothing_observed_has_no_valence_and_no_coverage() -> None:
    found = summarize(timeline(no(0), no(0.2), no(0.4), duration_s=0.6))
    assert (found.observed_s, found.coverage, found.mean_valence) == (0, 0, None)
    assert found.status_s["no_face"] == pytest.approx(0.6)
    assert dict(found.emotion_s) == dict.fromkeys(EMOTIONS, 0)
    assert found.unseen == (Span(0, pytest.approx(0.6), "no_face"),)


def test_shut_eyes_are_seen_and_no_expression() -> None:
    rows = [ok(0, "sad", -0.5), no(0.2, "eyes_shut"), no(0.4, "eyes_shut"), no(0.6)]
    found = summarize(timeline(*rows, duration_s=0.8))
    assert found.observed_s == found.negative_s == pytest.approx(0.2)
    assert found.coverage == pytest.approx(0.75)
    assert found.resting == (Span(0.2, pytest.approx(0.6), "eyes_shut"),)
    assert found.unseen == (Span(pytest.approx(0.6), pytest.approx(0.8), "no_face"),)


def test_speech_is_counted_where_it_is_likely_and_unknown_without_sound() -> None:
    quiet = timeline(ok(0, "happy", 0.5), ok(0.2, "happy", 0.5), ok(0.4, "happy", 0.5), duration_s=0.6)
    assert summarize(quiet).speaking_s is None
    assert summarize(quiet).facing_s == {}
    rows = quiet.rows.with_columns(
        speaking=pl.Series([0.9, 0.6, 0.2]),
        chewing=pl.Series([None, 0.1, 0.7]),
        facing=pl.Series(["camera", "left", "camera"]),
    )
    found = summarize(Timeline(rows, quiet.metadata))
    assert (found.speaking_s, found.chewing_s) == (pytest.approx(0.4), pytest.approx(0.2))
    assert found.facing_s == pytest.approx({"camera": 0.4, "left": 0.2, "right": 0.0, "down": 0.0})


@pytest.mark.parametrize(("known", "speaking_s"), [(9, 0.2), (8, None)])
def test_speech_that_is_not_known_of_nearly_all_samples_is_not_told(
    known: int, speaking_s: float | None
) -> None:
    ten = timeline(*(ok(k / 5, "happy", 0.5) for k in range(10)), duration_s=2.0)
    spoken = pl.Series([0.9, *[0.1] * (known - 1), *[None] * (10 - known)])
    rows = ten.rows.with_columns(speaking=spoken, chewing=spoken * 0)
    found = summarize(Timeline(rows, ten.metadata)).speaking_s
    assert found == (None if speaking_s is None else pytest.approx(speaking_s))


def test_one_sample() -> None:
    found = summarize(timeline(ok(0, "happy", 0.5), duration_s=0.04))
    assert found.observed_s == found.positive_s == pytest.approx(0.04)
    assert (found.coverage, found.mean_valence) == (pytest.approx(1), pytest.approx(0.5))
    assert found.unseen == ()


def test_a_session_by_hand() -> None:
    found = summarize(
        timeline(
            ok(0.0, "happy", 0.8),
            ok(0.2, "happy", 0.6),
            ok(0.4, "sad", -0.5),
            no(0.6),
            no(0.8, "other_person"),
            no(1.0, "other_person"),
            no(1.2, "low_quality"),
            ok(1.4, "surprise", 0.0),
            no(1.6, "decode_error"),
            ok(1.8, "neutral", 0.1),
            duration_s=2.0,
        )
    )
    assert (found.patient_id, found.session_id, found.duration_s) == ("P1", "S1", 2.0)
    assert found.observed_s == pytest.approx(1.0)
    assert found.coverage == pytest.approx(0.5)
    assert dict(found.status_s) == pytest.approx(
        {"ok": 1.0, "eyes_shut": 0.0, "no_face": 0.2, "other_person": 0.4, "low_quality": 0.2}
        | {"decode_error": 0.2, "gap": 0.0}
    )
    assert dict(found.fault_s) == pytest.approx({**dict.fromkeys(FAULTS, 0), "covered": 0.2})
    expected = {"happy": 0.4, "sad": 0.2, "surprise": 0.2, "neutral": 0.2}
    assert dict(found.emotion_s) == pytest.approx({**dict.fromkeys(EMOTIONS, 0), **expected})
    assert (found.positive_s, found.negative_s, found.neutral_s) == pytest.approx((0.4, 0.2, 0.2))
    assert found.mean_valence == pytest.approx((0.8 + 0.6 - 0.5 + 0.0 + 0.1) / 5)
    assert [(span.start_s, span.status) for span in found.unseen] == [
        (0.6, "no_face"),
        (0.8, "other_person"),
        (1.2, "low_quality"),
        (1.6, "decode_error"),
    ]
    assert [span.end_s for span in found.unseen] == pytest.approx([0.8, 1.2, 1.4, 1.8])


def test_a_sample_counts_for_as_long_as_it_lasts() -> None:
    """Irregular times: 0.3 s happy, 0.1 s angry, 0.2 s angry."""
    found = summarize(
        timeline(ok(0, "happy", 0.9), ok(0.3, "angry", -0.3), ok(0.4, "angry", -0.9), duration_s=0.6)
    )
    assert found.positive_s == pytest.approx(0.3)
    assert found.negative_s == pytest.approx(0.3)
    assert found.mean_valence == pytest.approx((0.3 * 0.9 - 0.1 * 0.3 - 0.2 * 0.9) / 0.6)


def test_a_hole_is_a_gap_beyond_two_steps_of_the_grid() -> None:
    made = timeline(ok(0, "happy", 1), ok(0.2, "happy", 1), ok(10.2, "happy", 1), duration_s=10.4)
    assert sample_seconds(made).tolist() == pytest.approx([0.2, 0.4, 0.2])
    found = summarize(made)
    assert found.observed_s == pytest.approx(0.8)
    assert found.status_s["gap"] == pytest.approx(9.6)


def test_what_a_cut_off_file_lacks_is_a_gap() -> None:
    found = summarize(timeline(ok(0, "happy", 1), ok(0.2, "happy", 1), duration_s=60))
    assert found.status_s["gap"] == pytest.approx(60 - 0.2 - 0.4)
    assert found.coverage == pytest.approx(0.6 / 60)


def test_a_video_slower_than_the_grid_is_observed_from_frame_to_frame() -> None:
    made = timeline(*[ok(float(n), "neutral", 0) for n in range(10)], duration_s=10, frame_rate=1)
    assert summarize(made).coverage == pytest.approx(1)


@pytest.mark.parametrize("duration_s", [0.4, 2.0, 100.0])
def test_seconds_of_every_status_add_up_to_the_session(duration_s: float) -> None:
    rows = [no(k * 0.08, STATUSES[k % 4 + 1]) for k in range(5)]
    found = summarize(timeline(*rows, duration_s=duration_s))
    assert set(found.status_s) == {*STATUSES, "gap"}
    assert sum(found.status_s.values()) == pytest.approx(duration_s)
    assert sum(found.emotion_s.values()) == pytest.approx(found.observed_s)


def test_neighbours_of_one_status_are_one_stretch() -> None:
    found = summarize(timeline(no(0), no(0.2), ok(0.4, "happy", 1), no(0.6), no(0.8), duration_s=1))
    assert [(span.start_s, span.end_s) for span in found.unseen] == [
        (0, pytest.approx(0.4)),
        (pytest.approx(0.6), pytest.approx(1)),
    ]
