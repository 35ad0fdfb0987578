"""Judge a camera set-up before a study, from some pictures of a trial recording.

A few hundred pictures are checked instead of the whole recording, so that the coordinator has the result
within seconds, with the patient's chair still in front of the camera.

Accuracies below are those of earlier weights on degraded pictures, of 86.6 % on good pictures; the model card
("In poor pictures") has those of the present ones.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.checks.snapshots import Snapshot
from pipeline.processing.session import QualityLimits, Settings
from pipeline.records import Face
from pipeline.store.counts import clock, number_of
from pipeline.video.container import VideoInfo

Verdict = Literal["good", "could be better", "will not work"]


# Smallest face for this detector. It also finds smaller faces: in four real clips, scaled down, all faces of
# 30 px and three quarters of those of 24 px.
SMALLEST_FACE_PX = 45

# Below 30 px `process` also misses faces, and accuracy falls (84.4 % at 28 px). A face of 60 px may shrink to
# half when the patient leans back and turns.
GOOD_FACE_PX, USABLE_FACE_PX = 60.0, 30.0

# With a quarter of the light, FER2013's median face has 27 % of white, and accuracy 83.5 %. At 80 % of white,
# or with a fifth of the face burnt out, a face is brighter than almost all training faces.
GOOD_BRIGHTNESS, TOO_BRIGHT, BURNT_LEVEL, BURNT_SHARE = 0.25, 0.8, 250, 0.2

# In the same light, a white wall has about 1.5 times the grey level of a face. A brighter background is a
# light source, and does harm if the face is below two fifths of white.
BACKLIGHT, SHADED = 1.7, 0.4

# Blurred by σ = 1 px of 48, FER2013's median face has a sharpness of 138 (84.3 %), by 1.5 px of 43 (79.8 %).
GOOD_SHARPNESS = 100.0

# OpenFace's author gives 30° yaw and 20° pitch as the range of best performance (Baltrušaitis 2017).
# Crops are turned upright, but an askew face may be found late.
GOOD_YAW, GOOD_PITCH, GOOD_ROLL, USABLE_ROLL = 30.0, 20.0, 20.0, 40.0

# If half is not observed, a session's shares describe only the half in which the patient faced the camera.
GOOD_READABLE, USABLE_READABLE = 0.8, 0.5

# The detector sometimes takes a hand or a picture on the wall for a face.
OTHERS_SHARE = 0.05

# An expression lasts 0.5 to 4 s (Ekman 2003); below two pictures per second, short expressions are missed.
USABLE_RATE = 2.0

# A loss of a tenth is more than an accident.
USABLE_LOST = 0.1

GOOD_HEIGHT_PX = 720
_STANDARD_SIZES = ((1280, 720), (1920, 1080), (3840, 2160))


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    :param measured: measured value, with its unit.
    :param advice: one thing to change; empty if the verdict is good.
    """

    name: str
    verdict: Verdict
    measured: str
    advice: str = ""


def overall(findings: Sequence[Finding]) -> Verdict:
    """The worst verdict."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in _WORST_FIRST if verdict in verdicts), "good")


_WORST_FIRST: tuple[Verdict, ...] = ("will not work", "could be better")


def judge(looks: Sequence[Snapshot], info: VideoInfo) -> tuple[Finding, ...]:
    """Run all checks; of the faces, only the largest of each picture is judged.

    :param looks: at least one decoded picture.
    """
    seen = [look for look in looks if look.sample.decoded]
    faces = [look.face for look in seen if look.face]
    return (
        _readable(seen),
        *(_of_faces(faces, seen, info) if faces else [_resolution(info)]),
        _people(seen),
        _rate(info),
        _recording(looks, info),
    )


def _readable(looks: Sequence[Snapshot]) -> Finding:
    limits = QualityLimits()
    readable = np.array([any(limits.accept(face) for face in look.sample.faces) for look in looks])
    in_view = float(np.mean([bool(look.sample.faces) for look in looks]))
    share = float(readable.mean())
    measured = f"in view in {in_view:.0%}, readable in {share:.0%}"
    verdict = _graded(share, GOOD_READABLE, USABLE_READABLE)
    if verdict != "good":
        measured += _longest_without(readable, looks)
    faults = Counter(fault for look in looks if look.face for fault in limits.faults(look.face))
    if not in_view:
        advice = _why_nobody(looks)
    elif faults and in_view - share > 1 - in_view:
        advice = f"Make the face readable: where it is in view it is mostly {faults.most_common(1)[0][0]}."
    else:
        advice = "Aim the camera at the patient's chair, and film while the patient sits there."
    return _finding("face", verdict, measured, advice)


def _longest_without(readable: NDArray[np.bool_], looks: Sequence[Snapshot]) -> str:
    """The longest gap without a readable face, if it has a tenth of the pictures or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], readable, [True]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    start, end = int(starts[longest]), int(ends[longest])
    if end - start < max(2, len(looks) / 10) or end - start == len(looks):
        return ""
    return f"; not from {clock(looks[start].sample.time_s)} to {clock(looks[end - 1].sample.time_s)}"


def _why_nobody(looks: Sequence[Snapshot]) -> str:
    if np.median([look.brightness for look in looks]) < QualityLimits().min_brightness:
        return "Switch on the light and uncover the lens: the picture is nearly black."
    return (
        "Point the camera at the patient's face from the front, with the picture upright: "
        f"no face is visible at {USABLE_FACE_PX:.0f} px or more."
    )


def _of_faces(faces: Sequence[Face], looks: Sequence[Snapshot], info: VideoInfo) -> list[Finding]:
    light, rest = _light(faces), (_sharpness(faces), _side(faces), _height(faces), _tilt(faces))
    return [_face_size(faces, info), light, _backlight(looks), *rest]


def _face_size(faces: Sequence[Face], info: VideoInfo) -> Finding:
    face_px = _median(faces, lambda face: face.face_px)
    nearer = f"Move the camera to {_tens(face_px / GOOD_FACE_PX)} of its distance or zoom in"
    height_px = min(info.width, info.height) * GOOD_FACE_PX / face_px
    larger = next((f", or choose {w} × {h}" for w, h in _STANDARD_SIZES if h >= height_px), "")
    return _finding(
        "face size",
        _graded(face_px, GOOD_FACE_PX, USABLE_FACE_PX),
        f"{face_px:.0f} px in {info.width} × {info.height}",
        f"{nearer}{larger}: faces are {face_px:.0f} px, {GOOD_FACE_PX:.0f} px or more are needed.",
    )


def _light(faces: Sequence[Face]) -> Finding:
    limits = QualityLimits()
    light = _median(faces, lambda face: face.brightness)
    burnt = _median(faces, lambda face: float((face.crop >= BURNT_LEVEL).mean()))
    measured = f"face at {light:.0%} of white"
    if light > TOO_BRIGHT or burnt > BURNT_SHARE:
        verdict: Verdict = "could be better" if light <= limits.max_brightness else "will not work"
        advice = "Dim the lamp or draw the curtain: the face is too bright to show its lines."
        return Finding("light on the face", verdict, f"{measured}, {burnt:.0%} burnt out", advice)
    return _finding(
        "light on the face",
        _graded(light, GOOD_BRIGHTNESS, limits.min_brightness),
        measured,
        f"Put more light on the face, from the front: {GOOD_BRIGHTNESS:.0%} or more are needed.",
    )


def _backlight(looks: Sequence[Snapshot]) -> Finding:
    levels = np.array([(look.brightness, look.face.brightness) for look in looks if look.face])
    ratio = float(np.median(levels[:, 0] / np.maximum(levels[:, 1], 0.01)))
    shaded = np.median(levels[:, 1]) < SHADED
    return _finding(
        "light from behind",
        "could be better" if shaded and ratio > BACKLIGHT else "good",
        f"picture {ratio:.1f} times as bright as the face",
        "Turn chair or camera until the window is behind the camera, or draw the curtain.",
    )


def _sharpness(faces: Sequence[Face]) -> Finding:
    sharpness = _median(faces, lambda face: face.sharpness)
    return _finding(
        "sharpness",
        _graded(sharpness, GOOD_SHARPNESS, QualityLimits().min_sharpness),
        f"{sharpness:.0f} (variance of the Laplacian)",
        f"Clean the lens, focus on the face, and give more light: {GOOD_SHARPNESS:.0f} or more is sharp.",
    )


def _side(faces: Sequence[Face]) -> Finding:
    turned, towards = _median(faces, lambda face: abs(face.yaw)), _median(faces, lambda face: face.yaw)
    if abs(towards) > turned / 2:
        advice = f"Move the camera to its {'right' if towards > 0 else 'left'}, to where the patient looks"
    else:
        advice = "Put the camera where the patient looks most: the head turns to both sides"
    return _finding(
        "camera to the side",
        _graded(-turned, -GOOD_YAW, -QualityLimits().max_yaw),
        f"face turned {turned:.0f}° away",
        f"{advice}; {GOOD_YAW:.0f}° or less are needed.",
    )


def _height(faces: Sequence[Face]) -> Finding:
    """At worst "could be better": a high camera and a patient who reads look alike."""
    pitch = _median(faces, lambda face: face.pitch)
    way, move = ("up", "Raise") if pitch > 0 else ("down", "Lower")
    return _finding(
        "camera height",
        "good" if abs(pitch) <= GOOD_PITCH else "could be better",
        f"face points {abs(pitch):.0f}° {way}",
        f"{move} the camera to the height of the eyes; {GOOD_PITCH:.0f}° or less are needed.",
    )


def _tilt(faces: Sequence[Face]) -> Finding:
    roll = _median(faces, lambda face: abs(face.roll))
    return _finding(
        "camera level",
        _graded(-roll, -GOOD_ROLL, -USABLE_ROLL),
        f"head askew by {roll:.0f}°",
        f"Set the camera level with the patient's eyes; {GOOD_ROLL:.0f}° or less is best.",
    )


def _people(looks: Sequence[Snapshot]) -> Finding:
    counts = np.array([len(look.sample.faces) for look in looks])
    share = float((counts > 1).mean())
    if share <= OTHERS_SHARE:
        measured = f"two or more faces in {share:.0%}" if share else "never two faces at once"
        return Finding("other people", "good", measured)
    apart = _sit_apart([look for look in looks if len(look.sample.faces) > 1])
    photo = "a photo of the patient (patient_face)"
    seat = "where the patient sits (patient_region) or " if apart else ""
    return Finding(
        "other people",
        "could be better",
        f"two or more faces in {share:.0%}, at most {counts.max()}",
        f"Film the patient alone, or give {seat}{photo} in sessions.csv, to tell who is who.",
    )


def _sit_apart(looks: Sequence[Snapshot]) -> bool:
    """Whether two people sit in separate places, so that a region can distinguish them."""
    pairs = [look.sample.faces for look in looks if len(look.sample.faces) == 2]
    if len(pairs) < 0.9 * len(looks):
        return False
    centres = np.array(
        [sorted(((face.box_xyxy[:2] + face.box_xyxy[2:]) / 2).tolist() for face in p) for p in pairs]
    )
    size = float(np.median([face.face_px for pair in pairs for face in pair]))
    seats = np.median(centres, axis=0)
    strayed = np.percentile(np.linalg.norm(centres - seats, axis=2), 90)
    return bool(strayed <= size and np.linalg.norm(seats[0] - seats[1]) >= 2 * size)


def _resolution(info: VideoInfo) -> Finding:
    """Judge the resolution only if there is no face to judge the size of."""
    height_px = min(info.width, info.height)
    return _finding(
        "picture size",
        "good" if height_px >= GOOD_HEIGHT_PX else "could be better",
        f"{info.width} × {info.height}",
        "Choose 1280 × 720 or more on the camera.",
    )


def _rate(info: VideoInfo) -> Finding:
    wanted = Settings().sample_fps
    kind = "constant" if info.constant_rate else "variable, which does no harm"
    return _finding(
        "pictures per second",
        _graded(info.frame_rate, wanted, USABLE_RATE),
        f"{info.frame_rate:.3g}, {kind}",
        f"Record 15 pictures per second or more: {wanted:g} are used.",
    )


def _recording(looks: Sequence[Snapshot], info: VideoInfo) -> Finding:
    """Judge missing time, gaps, and pictures that can't be decoded."""
    missing_s = info.missing_s + info.without_picture_s
    broken = sum(not look.sample.decoded for look in looks)
    lost = max(missing_s / info.duration_s, broken / len(looks))
    losses = [f"{missing_s:.1f} s missing"] if missing_s else []
    losses += [f"{broken} of {number_of(len(looks), 'picture')} damaged"] if broken else []
    return _finding(
        "recording",
        "good" if not lost else _graded(-lost, 0.0, -USABLE_LOST),
        f"{clock(info.duration_s)}, {' and '.join(losses) or 'nothing missing'}",
        "Let the recorder finish before it is switched off, try another card, and copy the file again.",
    )


def _finding(name: str, verdict: Verdict, measured: str, advice: str) -> Finding:
    return Finding(name, verdict, measured, "" if verdict == "good" else advice)


def _graded(value: float, good: float, usable: float) -> Verdict:
    """Verdict on a value of which more is better."""
    return "good" if value >= good else "could be better" if value >= usable else "will not work"


def _median(faces: Sequence[Face], measure: Callable[[Face], float]) -> float:
    return float(np.median([measure(face) for face in faces]))


def _tens(share: float) -> str:
    """A share in steps of ten per cent, precise enough to move a camera."""
    return f"{max(10, int(share * 10) * 10)} %"
