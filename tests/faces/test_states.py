"""pipeline.faces.states: eyes shut, speaking, chewing and facing, from made movements."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.faces.states import EYES_SHUT, Readings, infer_states

TIME_S = np.arange(600) / 5
STILL = np.full(600, 0.35)


def noise(size: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, size, 600)


def readings(**of: NDArray[np.float64] | float) -> Readings:
    """Two minutes of an open, still face that looks at the camera, without a voice, but for ``of``."""
    quiet = {"yaw": 0.0, "pitch": 0.0, "voice": 0.0, "happy": 0.0}
    values = {"eye_opening": 0.32, "jaw_open": STILL} | quiet | of
    return Readings(TIME_S, **{name: np.broadcast_to(value, 600) for name, value in values.items()})


SYLLABLES = STILL + noise(0.04)
CHEWING = STILL + 0.03 * np.sin(2 * np.pi * 1.4 * TIME_S + 0.5 * np.sin(TIME_S / 3)) + noise(0.006)


@pytest.mark.parametrize("open_eye", [0.18, 0.25, 0.32, 0.41])
def test_the_own_open_eyes_of_a_person_are_open(open_eye: float) -> None:
    """Narrow and wide ones, as measured on faces of people over 60."""
    assert (infer_states(readings(eye_opening=open_eye + noise(0.01))).eyes_open > EYES_SHUT).mean() > 0.98


@pytest.mark.parametrize("open_eye", [0.25, 0.32, 0.41])
def test_a_closure_is_found_within_a_sample(open_eye: float) -> None:
    shut = (TIME_S >= 40) & (TIME_S < 55)
    found = infer_states(readings(eye_opening=np.where(shut, 0.11, open_eye) + noise(0.01))).eyes_open
    np.testing.assert_array_equal(found < EYES_SHUT, shut)


def test_who_sleeps_all_the_time_is_not_awake() -> None:
    """There is no open eye to compare with."""
    assert (infer_states(readings(eye_opening=0.11 + noise(0.01))).eyes_open < EYES_SHUT).all()


def test_eyes_that_stay_shut_rest_and_a_blink_does_not() -> None:
    blink, nap = (TIME_S >= 20) & (TIME_S < 20.4), (TIME_S >= 40) & (TIME_S < 43)
    found = infer_states(readings(eye_opening=np.where(blink | nap, 0.11, 0.32)))
    np.testing.assert_array_equal(found.eyes_open < EYES_SHUT, blink | nap)
    np.testing.assert_array_equal(found.resting, nap)


def test_a_pause_in_the_recording_ends_a_rest() -> None:
    """Two seconds of shut eyes on both sides of a minute that was left out are no rest."""
    time_s = np.concatenate([np.arange(0, 10, 0.2), np.arange(70, 80, 0.2)])
    shut = ((time_s > 7.9) & (time_s < 10)) | (time_s < 72) & (time_s > 60)
    still = np.zeros(len(time_s))
    eyes = np.where(shut, 0.11, 0.32)
    found = infer_states(Readings(time_s, eyes, still + 0.35, still, still, still, still))
    assert (found.eyes_open < EYES_SHUT).sum() == shut.sum()
    assert not found.resting.any()


@pytest.mark.parametrize("of", [{"happy": 0.9}, {"jaw_open": STILL + noise(0.08), "voice": 0.9}])
def test_who_laughs_or_speaks_with_shut_eyes_does_not_rest(
    of: dict[str, NDArray[np.float64] | float],
) -> None:
    found = infer_states(readings(eye_opening=np.full(600, 0.11), **of))
    assert (found.eyes_open < EYES_SHUT).all()
    assert found.resting.mean() < 0.1


def test_the_far_eye_of_a_profile_tells_nothing() -> None:
    assert np.isnan(infer_states(readings(yaw=np.full(600, 60.0))).eyes_open).all()


def test_a_voice_while_the_mouth_moves_is_speaking() -> None:
    found = infer_states(readings(jaw_open=SYLLABLES, voice=0.8))
    assert (found.speaking > 0.5).mean() > 0.9
    assert found.chewing.max() < 0.5


def test_a_voice_beside_a_still_mouth_is_somebody_else_s() -> None:
    found = infer_states(readings(jaw_open=STILL + noise(0.008), voice=0.9))
    assert found.speaking.max() < 0.5


def test_a_mouth_that_moves_in_cycles_without_a_voice_chews() -> None:
    found = infer_states(readings(jaw_open=CHEWING))
    assert (found.chewing > 0.5).mean() > 0.85
    assert found.speaking.max() == 0


@pytest.mark.parametrize(
    "movement",
    [STILL + noise(0.008), STILL + noise(0.03), STILL + np.cumsum(noise(0.01)), STILL + 0.2 * (TIME_S > 60)],
    ids=["still", "random", "drifting", "one_smile"],
)
def test_other_movements_are_no_chewing(movement: NDArray[np.float64]) -> None:
    assert (infer_states(readings(jaw_open=movement)).chewing > 0.5).mean() < 0.03


def test_without_sound_neither_speech_nor_chewing_is_known() -> None:
    found = infer_states(readings(jaw_open=CHEWING, voice=np.nan))
    assert np.isnan(found.speaking).all()
    assert np.isnan(found.chewing).all()
    assert (found.mouth_motion > 0).all()


def test_nothing_is_known_of_what_is_not_seen() -> None:
    hidden = (TIME_S >= 20) & (TIME_S < 30)
    gone = {
        name: np.where(hidden, np.nan, value) for name, value in (("eye_opening", 0.3), ("jaw_open", 0.35))
    }
    found = infer_states(
        readings(**gone, yaw=np.where(hidden, np.nan, 0.0), pitch=np.where(hidden, np.nan, 0.0))
    )
    for known in (found.eyes_open, found.mouth_motion, found.speaking, found.chewing):
        np.testing.assert_array_equal(np.isnan(known), hidden)
    assert [facing is None for facing in found.facing] == hidden.tolist()


@pytest.mark.parametrize(
    ("yaw", "pitch", "facing"),
    [(0, 0, "camera"), (-20, 10, "camera"), (30, 0, "right"), (-50, -40, "left"), (5, -35, "down")],
)
def test_the_head_s_pose_says_where_it_is_turned(yaw: float, pitch: float, facing: str) -> None:
    assert set(infer_states(readings(yaw=yaw, pitch=pitch)).facing) == {facing}


def test_no_sample_has_no_state() -> None:
    empty = np.zeros(0)
    assert infer_states(Readings(*[empty] * 7)).facing == []
