"""checks.preflight: a synthetic sample for each finding, and degraded real clips."""

import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from videos import encode, first_pictures, remux, with_faces

from pipeline.checks.preflight import QUIET_DB, SMALLEST_FACE_PX, USABLE_FACE_PX, judge, overall
from pipeline.checks.snapshots import PICTURES, Snapshot, choose_frames, inspect, write_pictures
from pipeline.errors import VideoError
from pipeline.faces.detection import CropSpec
from pipeline.faces.mtcnn import Cascade
from pipeline.processing.session import QualityLimits
from pipeline.reasons import Reason
from pipeline.records import Face, Finding, FrameFaces
from pipeline.sound.level import NO_SOUND, SoundLevel
from pipeline.video.container import VideoInfo, probe
from pipeline.video.orientation import Orientation

GOOD, BETTER, NOT = "good", "could be better", "will not work"

Pictures = Sequence[NDArray[np.uint8]]


def video(
    seconds: float = 600, rate: float = 25, width: int = 1280, height: int = 720, **changes: object
) -> VideoInfo:
    """A recording of constant rate, with a key frame every second."""
    frames = np.arange(round(seconds * rate))
    values = {
        "path": Path("trial.mp4"),
        "codec": "h264",
        "width": width,
        "height": height,
        "pixel_aspect": 1.0,
        "orientation": Orientation(),
        "frame_rate": rate,
        "duration_s": seconds,
        "missing_s": 0.0,
        "pts": frames,
        "time_s": frames / rate,
        "key": frames[:: round(rate)],
        "seekable": True,
        "one_to_one": True,
        "decord_reads_it": False,
        "decoded": len(frames),
        "all_decoded": True,
        "damaged": False,
        "stream": 0,
        "others": (),
        "sound_zero_s": 0.0,
        "by_number": False,
        "notes": (),
    }
    return VideoInfo(**{**values, **changes})


def looks_at(*faces: tuple[Face, ...] | None, light: float = 0.5, times: int = 1) -> list[Snapshot]:
    """A look for each tuple of faces, and a damaged picture for none."""
    return [
        Snapshot(FrameFaces(n, n * 25, float(n), found is not None, found or ()), light)
        for n, found in enumerate(faces * times)
    ]


def sound(*level_db: float, cut: int = 0) -> SoundLevel:
    """A piece of each level, a minute apart; the first pieces are cut off."""
    places = np.arange(len(level_db))
    return SoundLevel(60.0 * places, np.array(level_db), places < cut)


SPOKEN = sound(*[-30.0] * 20)


def found(
    name: str, looks: list[Snapshot], info: VideoInfo | None = None, heard: SoundLevel = SPOKEN
) -> Finding:
    (finding,) = (finding for finding in judge(looks, info or video(), heard) if finding.name == name)
    return finding


def measured(finding: Finding) -> str:
    return str(finding.measured)


def advice(finding: Finding) -> str:
    return "" if finding.advice is None else str(finding.advice)


@pytest.fixture
def one(make_face: Callable[..., Face]) -> Callable[..., list[Snapshot]]:
    """Twenty looks at one face of 100 px."""

    def make(light: float = 0.5, side: float = 100, **changes: object) -> list[Snapshot]:
        return looks_at((make_face(640, 360, side, **changes),), light=light, times=20)

    return make


# --- which pictures


def test_an_hour_is_looked_at_in_key_frames_spread_over_it() -> None:
    info = video(3600)
    index = choose_frames(info)
    assert len(index) == PICTURES
    assert np.isin(index, info.key).all()
    assert np.ptp(np.diff(info.time_s[index])) <= 1
    assert info.time_s[index[0]] < 18
    assert info.time_s[index[-1]] > 3600 - 18


def test_few_key_frames_are_read_on_from_and_not_far() -> None:
    frames = np.arange(600 * 25)
    info = video(600, key=frames[::250])
    index = choose_frames(info)
    assert 60 < len(index) <= PICTURES
    assert (index % 250).max() == 20  # 1200 frames in 60 places


def test_what_can_not_be_sought_is_looked_at_in_key_frames() -> None:
    info = video(60, key=np.arange(0, 1500, 50), seekable=False)
    assert np.isin(choose_frames(info), info.key).all()


def test_almost_no_key_frames_are_no_reason_to_look_at_the_beginning_alone() -> None:
    index = choose_frames(video(600, key=np.array([0])))
    assert len(index) == PICTURES
    assert index[-1] > 14_900


def test_a_clip_is_not_looked_at_more_often_than_it_would_be_sampled() -> None:
    assert len(choose_frames(video(4, key=np.arange(100)))) == 20
    assert choose_frames(video(0.04)).tolist() == [0]


def test_of_larger_pictures_fewer_are_looked_at() -> None:
    assert len(choose_frames(video(3600, width=2160, height=3840))) == PICTURES / 2


# --- judging


def test_a_good_set_up_is_good_in_everything(one: Callable[..., list[Snapshot]]) -> None:
    findings = judge(one(), video(), SPOKEN)
    assert {finding.verdict for finding in findings} == {GOOD}
    assert not any(finding.advice for finding in findings)
    assert all(finding.measured for finding in findings)
    assert overall(findings) == GOOD


def test_the_worst_verdict_is_the_overall_one() -> None:
    good, better, bad = (
        Finding("a thing", verdict, Reason.of("never_two")) for verdict in (GOOD, BETTER, NOT)
    )
    assert overall([good, better]) == BETTER
    assert overall([bad, better, good]) == NOT


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "value", "change"),
    [
        ("face size", {"side": 60}, GOOD, "60 px in 1280 × 720", ""),
        ("face size", {"side": 38}, BETTER, "38 px", "to 60 % of its distance or zoom in, or choose 3840"),
        ("face size", {"side": 44}, BETTER, "44 px", "to 70 % of its distance or zoom in, or choose 1920"),
        ("face size", {"side": 29}, NOT, "29 px", "60 px or more are needed"),
        ("light on the face", {"brightness": 0.25}, GOOD, "25%", ""),
        ("light on the face", {"brightness": 0.2}, BETTER, "20%", "more light"),
        ("light on the face", {"brightness": 0.09}, NOT, "9%", "more light"),
        ("light on the face", {"brightness": 0.85}, BETTER, "85%", "too bright"),
        ("light on the face", {"brightness": 0.96}, NOT, "96%", "too bright"),
        ("light on the face", {"crop": np.full((48, 48, 3), 255)}, BETTER, "100% burnt out", "Dim"),
        ("light from behind", {"brightness": 0.35, "light": 0.7}, BETTER, "2.0 times", "window"),
        ("light from behind", {"brightness": 0.45, "light": 0.9}, GOOD, "2.0 times", ""),
        ("light from behind", {"brightness": 0.35, "light": 0.56}, GOOD, "1.6 times", ""),
        ("sharpness", {"sharpness": 99}, BETTER, "99; the higher, the sharper", "lens"),
        ("sharpness", {"sharpness": 11}, NOT, "11", "lens"),
        ("camera to the side", {"yaw": 40}, BETTER, "40°", "to its right"),
        ("camera to the side", {"yaw": -40}, BETTER, "40°", "to its left"),
        ("camera to the side", {"yaw": -61}, NOT, "61°", "to its left"),
        ("camera height", {"pitch": -25}, BETTER, "25° down", "Lower"),
        ("camera height", {"pitch": 25}, BETTER, "25° up", "Raise"),
        ("camera level", {"roll": -21}, BETTER, "21°", "level"),
        ("camera level", {"roll": 41}, NOT, "41°", "level"),
    ],
)
def test_of_a_face(
    one: Callable[..., list[Snapshot]],
    name: str,
    changes: dict[str, object],
    verdict: str,
    value: str,
    change: str,
) -> None:
    finding = found(name, one(**changes))
    assert finding.verdict == verdict
    assert value in measured(finding)
    assert change in advice(finding)
    assert bool(finding.advice) == (verdict != GOOD)


def test_a_head_that_turns_to_both_sides_does_not_move_the_camera(make_face: Callable[..., Face]) -> None:
    left, right = (make_face(640, 360, 100, yaw=yaw) for yaw in (-40, 40))
    finding = found("camera to the side", looks_at((left,), (right,), times=10))
    assert finding.verdict == BETTER
    assert "both sides" in advice(finding)


def test_the_largest_face_is_judged(make_face: Callable[..., Face]) -> None:
    near, far = make_face(300, 300, 120), make_face(900, 300, 31, brightness=0.05)
    looks = looks_at((far, near), times=20)
    assert measured(found("face size", looks)).startswith("120 px")
    assert found("light on the face", looks).verdict == GOOD


@pytest.mark.parametrize(("readable", "verdict"), [(8, GOOD), (7, BETTER), (5, BETTER), (4, NOT)])
def test_how_often_a_face_is_readable(make_face: Callable[..., Face], readable: int, verdict: str) -> None:
    face = make_face(640, 360, 100)
    looks = looks_at(*[(face,)] * readable, *[()] * (10 - readable))
    finding = found("face", looks)
    assert finding.verdict == verdict
    assert f"readable in {readable}0%" in measured(finding)
    assert (f"not from 0:0{readable} to 0:09" in measured(finding)) == (verdict != GOOD)


def test_readable_is_what_the_session_s_limits_accept(make_face: Callable[..., Face]) -> None:
    turned = make_face(640, 360, 100, yaw=61)
    assert not QualityLimits().accept(turned)
    finding = found("face", looks_at((turned,), times=10))
    assert finding.verdict == NOT
    assert "in view in 100%, readable in 0%" in measured(finding)
    assert "turned away" in advice(finding)


def test_nobody_in_view_is_told_from_darkness() -> None:
    lit, dark = (found("face", looks_at((), times=9, light=light)) for light in (0.5, 0.02))
    assert lit.verdict == dark.verdict == NOT
    assert f"{USABLE_FACE_PX:.0f} px" in advice(lit)
    assert "nearly black" in advice(dark)
    assert found("picture size", looks_at(()), video(width=640, height=360)).verdict == BETTER
    assert found("picture size", looks_at(())).verdict == GOOD


def test_without_a_face_nothing_is_said_of_other_people() -> None:
    names = {finding.name for finding in judge(looks_at((), times=20), video(), SPOKEN)}
    assert "other people" not in names


def test_one_false_face_in_fifty_is_nobody(make_face: Callable[..., Face]) -> None:
    face, hand = make_face(640, 360, 100), make_face(200, 600, 50)
    assert found("other people", looks_at(*[(face,)] * 49, (face, hand))).verdict == GOOD


def test_two_who_keep_their_seats_can_be_told_by_region(make_face: Callable[..., Face]) -> None:
    patient, carer = make_face(300, 360, 100), make_face(900, 360, 110)
    finding = found("other people", looks_at((patient,), (patient, carer), (carer, patient), times=5))
    assert finding.verdict == BETTER
    assert "67%, at most 2" in measured(finding)
    assert "patient_region" in advice(finding)
    assert "patient_face" in advice(finding)


@pytest.mark.parametrize("seats", [[(300, 900), (900, 1500)], [(300, 420)], [(300, 900, 1200)]])
def test_who_changes_seats_or_sits_close_or_in_threes_needs_a_photo(
    make_face: Callable[..., Face], seats: list[tuple[int, ...]]
) -> None:
    pictures = [tuple(make_face(x, 360, 100) for x in places) for places in seats]
    change = advice(found("other people", looks_at(*pictures, times=8)))
    assert "patient_face" in change
    assert "patient_region" not in change


# --- the container


@pytest.mark.parametrize(("rate", "verdict"), [(5, GOOD), (4, BETTER), (1, NOT)])
def test_a_rate_below_the_sampling_rate(
    one: Callable[..., list[Snapshot]], rate: float, verdict: str
) -> None:
    finding = found("pictures per second", one(), video(rate=rate))
    assert (finding.verdict, measured(finding)) == (verdict, f"{rate}, constant")


def test_a_variable_rate_is_named_and_does_no_harm(one: Callable[..., list[Snapshot]]) -> None:
    times = video().time_s + np.arange(15_000) % 2 * 0.01
    finding = found("pictures per second", one(), video(time_s=times))
    assert finding.verdict == GOOD
    assert "variable" in measured(finding)


@pytest.mark.parametrize(
    ("changes", "verdict", "value"),
    [
        ({}, GOOD, "10:00, nothing missing"),
        ({"missing_s": 12.0}, BETTER, "10:00, 12.0 s missing"),
        ({"missing_s": 61.0}, NOT, "61.0 s missing"),
        ({"notes": (Reason.of("holes", seconds=30.0),)}, BETTER, "30.0 s missing"),
    ],
)
def test_seconds_that_are_missing(
    one: Callable[..., list[Snapshot]], changes: dict[str, object], verdict: str, value: str
) -> None:
    finding = found("recording", one(), video(**changes))
    assert finding.verdict == verdict
    assert value in measured(finding)


def test_damaged_pictures_count_as_lost_and_not_as_empty(make_face: Callable[..., Face]) -> None:
    face = make_face(640, 360, 100)
    looks = looks_at(*[(face,)] * 15, *[None] * 5)
    finding = found("recording", looks)
    assert finding.verdict == NOT
    assert measured(finding) == "10:00, 5 of 20 pictures damaged"
    assert found("face", looks).verdict == GOOD


# --- the sound


SILENT = -120.0


@pytest.mark.parametrize(
    ("heard", "verdict", "value", "change"),
    [
        (SPOKEN, GOOD, "−30 dB where it is loudest", ""),
        (NO_SOUND, BETTER, "none in the file", "Switch on the microphone"),
        (sound(*[SILENT] * 20), BETTER, "silent throughout", "Switch on the microphone"),
        # muted midway, and back
        (
            sound(*[-30.0] * 5, *[SILENT] * 10, *[-30.0] * 5),
            BETTER,
            "silent in 50%, from 5:00 to 14:00",
            "on:",
        ),
        (sound(*[-30.0, SILENT] * 10), BETTER, "silent in 50%", "Leave the microphone on"),
        (sound(*[-30.0] * 18, SILENT, SILENT), GOOD, "−30 dB", ""),
        (sound(*[-1.0] * 20, cut=11), BETTER, "cut off in 55%", "Lower the microphone"),
        (sound(*[-1.0] * 20, cut=10), GOOD, "−1 dB", ""),
        (sound(*[-60.0] * 20), BETTER, "−60 dB", "If somebody spoke"),
        # a tenth of the time somebody speaks
        (sound(*[-60.0] * 16, *[QUIET_DB + 1] * 4), GOOD, "−41 dB", ""),
    ],
)
def test_the_sound_is_never_worse_than_could_be_better(
    one: Callable[..., list[Snapshot]], heard: SoundLevel, verdict: str, value: str, change: str
) -> None:
    finding = found("sound", one(), heard=heard)
    assert finding.verdict == verdict
    assert value in measured(finding)
    assert change in advice(finding)


def test_sound_whose_clock_restarts_is_not_used(one: Callable[..., list[Snapshot]]) -> None:
    """As `process` does not use it."""
    finding = found("sound", one(), video(sound_zero_s=None))
    assert (finding.verdict, "clock" in measured(finding)) == (BETTER, True)
    assert found("sound", one(), video(sound_zero_s=None), NO_SOUND).measured.code == "no_sound"


# --- real recordings, and made ones


def looked_at(path: Path, detect: object) -> tuple[list[Snapshot], VideoInfo]:
    info = probe(path)
    return inspect(info, detect, CropSpec()), info


@pytest.fixture(scope="module")
def detector() -> Cascade:
    return Cascade(SMALLEST_FACE_PX)


@pytest.fixture(scope="module")
def person(clips: Path) -> Pictures:
    return first_pictures(clips / "single_face.mp4", 10)


def test_a_good_clip_is_good(detector: Cascade, person: Pictures, tmp_path: Path) -> None:
    looks, info = looked_at(encode(tmp_path / "good.mp4", person), detector)
    assert overall(judge(looks, replace(info, sound_zero_s=0.0), SPOKEN)) == GOOD


def test_a_darkened_clip_wants_light(detector: Cascade, person: Pictures, tmp_path: Path) -> None:
    dark = [(picture * 0.15).astype(np.uint8) for picture in person]
    looks, info = looked_at(encode(tmp_path / "dark.mp4", dark), detector)
    findings = judge(looks, info, SPOKEN)
    assert overall(findings) == NOT
    assert any("light" in advice(finding) for finding in findings)


def test_a_small_face_is_found_and_measured(detector: Cascade, person: Pictures, tmp_path: Path) -> None:
    """A face of about 180 px in 640 × 360 at a fifth of its size."""
    frames = [np.full((360, 640, 3), 90, np.uint8) for _ in person]
    for frame, picture in zip(frames, person, strict=True):
        frame[100:172, 200:328] = np.asarray(Image.fromarray(picture).resize((128, 72)))
    looks, info = looked_at(encode(tmp_path / "far.mp4", frames, options={"crf": "15"}), detector)
    finding = found("face size", looks, info)
    assert finding.verdict == BETTER
    assert 30 <= int(measured(finding).split()[0]) <= 40


def test_two_people_side_by_side(detector: Cascade, person: Pictures, tmp_path: Path) -> None:
    pairs = [np.concatenate([picture, picture[:, ::-1]], axis=1) for picture in person]
    looks, info = looked_at(encode(tmp_path / "two.mp4", pairs), detector)
    finding = found("other people", looks, info)
    assert "100%, at most 2" in measured(finding)
    assert "patient_region" in advice(finding)


def test_nobody(detector: Cascade, clips: Path) -> None:
    looks, info = looked_at(clips / "no_face.mp4", detector)
    assert found("face", looks, info).verdict == NOT


def test_a_file_of_which_nothing_can_be_decoded(detector: Cascade, tmp_path: Path) -> None:
    broken = encode(tmp_path / "broken.mp4", [with_faces([])] * 20, damage=lambda number: True)
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        looked_at(broken, detector)


def test_pictures_far_apart_are_those_that_were_chosen(fake_networks, tmp_path: Path) -> None:
    """Half-way through a face comes in: who sees it when is told by the container's times."""
    pictures = [with_faces([])] * 300 + [with_faces([(40, 40)])] * 300
    path = encode(tmp_path / "comes.mp4", pictures, rate=10, gop=20)
    looks, info = looked_at(path, fake_networks.detect)
    assert all(len(look.sample.faces) == (look.sample.time_s >= 30) for look in looks)
    assert [look.sample.time_s for look in looks] == info.time_s[choose_frames(info)].tolist()


def test_what_can_not_be_sought_is_read_through(fake_networks, tmp_path: Path) -> None:
    pictures = [with_faces([])] * 100 + [with_faces([(40, 40)])] * 100
    source = encode(tmp_path / "comes.mp4", pictures, rate=10, gop=5, options={"bf": "0"})
    looks, info = looked_at(remux(source, tmp_path / "comes.ts"), fake_networks.detect)
    assert not info.seekable
    assert [bool(look.sample.faces) for look in looks] == [look.sample.time_s >= 10 for look in looks]


# --- pictures


def test_pictures_are_for_their_owner_alone(fake_networks, tmp_path: Path) -> None:
    path = encode(tmp_path / "trial.mp4", [with_faces([(40, 60)])] * 50, rate=10)
    looks, info = looked_at(path, fake_networks.detect)
    looks[0] = replace(looks[0], sample=replace(looks[0].sample, decoded=False))
    written = write_pictures(info, looks, tmp_path / "seen")
    assert sorted((tmp_path / "seen").iterdir()) == written
    assert len(written) == 8
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in written} == {0o600}
    drawn = np.asarray(Image.open(written[0]).convert("RGB")).astype(int)
    edge = drawn[80:100, 40:42].mean(axis=(0, 1))
    assert edge[1] > edge[0] + 60  # a green box around a readable face


def test_an_unreadable_face_is_boxed_in_another_colour(
    fake_networks, make_face: Callable[..., Face], tmp_path: Path
) -> None:
    info = probe(encode(tmp_path / "trial.mp4", [with_faces([])] * 5))
    (written,) = write_pictures(info, looks_at((make_face(100, 90, 60, yaw=80),)), tmp_path / "seen")
    red, green, _ = (
        np.asarray(Image.open(written).convert("RGB")).astype(int)[80:100, 70:72].mean(axis=(0, 1))
    )
    assert red > green + 60
