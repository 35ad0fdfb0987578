"""Judge a camera set-up before a study, from some pictures of a trial recording.

A few hundred pictures are checked instead of the whole recording, so that the coordinator has the result
within seconds, with the patient's chair still in front of the camera.

Accuracies below are of the weights atto on degraded pictures (model card, "In poor pictures"); on good ones
they have 87.4 %.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.checks.snapshots import Snapshot
from pipeline.processing.session import QualityLimits, Settings
from pipeline.reasons import Reason, Value
from pipeline.records import Face, Finding, Verdict
from pipeline.sound.level import SoundLevel
from pipeline.store.counts import clock
from pipeline.video.container import VideoInfo

# Smallest face for this detector. It also finds smaller faces: in four real clips, scaled down, all faces of
# 30 px and three quarters of those of 24 px.
SMALLEST_FACE_PX = 45

# Below 30 px `process` also misses faces, and accuracy falls (85.5 % at 28 px). A face of 60 px may shrink to
# half when the patient leans back and turns.
GOOD_FACE_PX, USABLE_FACE_PX = 60.0, 30.0

# With a quarter of the light, FER2013's median face has 27 % of white, and accuracy 84.3 %. At 80 % of white,
# or with a fifth of the face burnt out, a face is brighter than almost all training faces.
GOOD_BRIGHTNESS, TOO_BRIGHT, BURNT_LEVEL, BURNT_SHARE = 0.25, 0.8, 250, 0.2

# In the same light, a white wall has about 1.5 times the grey level of a face. A brighter background is a
# light source, and does harm if the face is below two fifths of white.
BACKLIGHT, SHADED = 1.7, 0.4

# Blurred by σ = 1 px of 48, FER2013's median face has a sharpness of 138 (85.3 %), by 1.5 px of 43 (81.7 %).
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

# A voice whose loudest parts are at −41 dB is found as often as a loud one, and a fifth less often at −47 dB
# (tests/support/voice.ogg, without and with noise). Of the pieces, the loudest tenth is a voice, if any is.
QUIET_DB, LOUDEST_PERCENTILE, MOSTLY_CUT = -42.0, 90, 0.5

GOOD_HEIGHT_PX = 720
_STANDARD_SIZES = ((1280, 720), (1920, 1080), (3840, 2160))


def overall(findings: Sequence[Finding]) -> Verdict:
    """The worst verdict."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in _WORST_FIRST if verdict in verdicts), "good")


_WORST_FIRST: tuple[Verdict, ...] = ("will not work", "could be better")


def judge(looks: Sequence[Snapshot], info: VideoInfo, sound: SoundLevel) -> tuple[Finding, ...]:
    """Run all checks; of the faces, only the largest of each picture is judged.

    :param looks: at least one decoded picture.
    """
    seen = [look for look in looks if look.sample.decoded]
    faces = [look.face for look in seen if look.face]
    return (
        _readable(seen),
        *([*_of_faces(faces, seen, info), _people(seen)] if faces else [_resolution(info)]),
        _sound(sound, info),
        _rate(info),
        _recording(looks, info),
    )


def _readable(looks: Sequence[Snapshot]) -> Finding:
    limits = QualityLimits()
    readable = np.array([any(limits.accept(face) for face in look.sample.faces) for look in looks])
    in_view = float(np.mean([bool(look.sample.faces) for look in looks]))
    share = float(readable.mean())
    percents = {"in_view": _percent(in_view), "readable": _percent(share)}
    measured = Reason("seen", percents)
    verdict = _graded(share, GOOD_READABLE, USABLE_READABLE)
    if verdict != "good" and (gap := _longest_run(~readable, [look.sample.time_s for look in looks])):
        measured = Reason("seen_except", {**percents, **gap})
    faults = Counter(fault for look in looks if look.face for fault in limits.faults(look.face))
    if not in_view:
        advice = _why_nobody(looks)
    elif faults and in_view - share > 1 - in_view:
        advice = Reason.of("make_readable", fault=faults.most_common(1)[0][0])
    else:
        advice = Reason.of("aim")
    return _finding("face", verdict, measured, advice)


def _longest_run(there: NDArray[np.bool_], time_s: Sequence[float]) -> dict[str, str]:
    """``start`` and ``end`` of the longest run, if it has a tenth of the places or more, and not all."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    start, end = int(starts[longest]), int(ends[longest])
    if end - start < max(2, len(there) / 10) or end - start == len(there):
        return {}
    return {"start": clock(time_s[start]), "end": clock(time_s[end - 1])}


def _why_nobody(looks: Sequence[Snapshot]) -> Reason:
    if np.median([look.brightness for look in looks]) < QualityLimits().min_brightness:
        return Reason.of("nearly_black")
    return Reason.of("nobody_visible", pixels=round(USABLE_FACE_PX))


def _of_faces(faces: Sequence[Face], looks: Sequence[Snapshot], info: VideoInfo) -> list[Finding]:
    light, rest = _light(faces), (_sharpness(faces), _side(faces), _height(faces), _tilt(faces))
    return [_face_size(faces, info), light, _backlight(looks), *rest]


def _face_size(faces: Sequence[Face], info: VideoInfo) -> Finding:
    face_px = _median(faces, lambda face: face.face_px)
    height_px = min(info.width, info.height) * GOOD_FACE_PX / face_px
    larger = next((size for size in _STANDARD_SIZES if size[1] >= height_px), None)
    values = {"tens": _tens(face_px / GOOD_FACE_PX), "face": round(face_px), "pixels": round(GOOD_FACE_PX)}
    return _finding(
        "face size",
        _graded(face_px, GOOD_FACE_PX, USABLE_FACE_PX),
        Reason.of("face_size", face=round(face_px), width=info.width, height=info.height),
        Reason("nearer_or_larger", {**values, "width": larger[0], "height": larger[1]})
        if larger
        else Reason("nearer", values),
    )


def _light(faces: Sequence[Face]) -> Finding:
    limits = QualityLimits()
    light = _median(faces, lambda face: face.brightness)
    burnt = _median(faces, lambda face: float((face.crop >= BURNT_LEVEL).mean()))
    if light > TOO_BRIGHT or burnt > BURNT_SHARE:
        verdict: Verdict = "could be better" if light <= limits.max_brightness else "will not work"
        measured = Reason.of("face_burnt", light=_percent(light), burnt=_percent(burnt))
        return Finding("light on the face", verdict, measured, Reason.of("dim"))
    return _finding(
        "light on the face",
        _graded(light, GOOD_BRIGHTNESS, limits.min_brightness),
        Reason.of("face_light", light=_percent(light)),
        Reason.of("more_light", light=_percent(GOOD_BRIGHTNESS)),
    )


def _backlight(looks: Sequence[Snapshot]) -> Finding:
    levels = np.array([(look.brightness, look.face.brightness) for look in looks if look.face])
    ratio = float(np.median(levels[:, 0] / np.maximum(levels[:, 1], 0.01)))
    shaded = np.median(levels[:, 1]) < SHADED
    return _finding(
        "light from behind",
        "could be better" if shaded and ratio > BACKLIGHT else "good",
        Reason.of("backlight", ratio=ratio),
        Reason.of("window"),
    )


def _sharpness(faces: Sequence[Face]) -> Finding:
    sharpness = _median(faces, lambda face: face.sharpness)
    return _finding(
        "sharpness",
        _graded(sharpness, GOOD_SHARPNESS, QualityLimits().min_sharpness),
        Reason.of("sharpness", sharpness=round(sharpness)),
        Reason.of("sharpen", sharpness=round(GOOD_SHARPNESS)),
    )


def _side(faces: Sequence[Face]) -> Finding:
    turned, towards = _median(faces, lambda face: abs(face.yaw)), _median(faces, lambda face: face.yaw)
    one_way = "to_the_right" if towards > 0 else "to_the_left"
    way = one_way if abs(towards) > turned / 2 else "both_sides"
    return _finding(
        "camera to the side",
        _graded(-turned, -GOOD_YAW, -QualityLimits().max_yaw),
        Reason.of("turned", degrees=round(turned)),
        Reason(way, {"degrees": round(GOOD_YAW)}),
    )


def _height(faces: Sequence[Face]) -> Finding:
    """At worst "could be better": a high camera and a patient who reads look alike."""
    pitch = _median(faces, lambda face: face.pitch)
    points, move = ("points_up", "raise") if pitch > 0 else ("points_down", "lower")
    return _finding(
        "camera height",
        "good" if abs(pitch) <= GOOD_PITCH else "could be better",
        Reason(points, {"degrees": round(abs(pitch))}),
        Reason(move, {"degrees": round(GOOD_PITCH)}),
    )


def _tilt(faces: Sequence[Face]) -> Finding:
    roll = _median(faces, lambda face: abs(face.roll))
    return _finding(
        "camera level",
        _graded(-roll, -GOOD_ROLL, -USABLE_ROLL),
        Reason.of("askew", degrees=round(roll)),
        Reason.of("set_level", degrees=round(GOOD_ROLL)),
    )


def _people(looks: Sequence[Snapshot]) -> Finding:
    counts = np.array([len(look.sample.faces) for look in looks])
    share = float((counts > 1).mean())
    if share <= OTHERS_SHARE:
        measured = Reason.of("sometimes_two", share=_percent(share)) if share else Reason.of("never_two")
        return Finding("other people", "good", measured)
    apart = _sit_apart([look for look in looks if len(look.sample.faces) > 1])
    return Finding(
        "other people",
        "could be better",
        Reason.of("often_two", share=_percent(share), people=int(counts.max())),
        Reason.of("film_alone_or_seat") if apart else Reason.of("film_alone"),
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
        Reason.of("picture_size", width=info.width, height=info.height),
        Reason.of("larger_picture"),
    )


def _sound(sound: SoundLevel, info: VideoInfo) -> Finding:
    """At worst "could be better": the emotions are read without sound."""
    silent = sound.is_silent
    if not len(silent):
        return Finding("sound", "could be better", Reason.of("no_sound"), Reason.of("record_sound"))
    if info.sound_zero_s is None:
        return Finding("sound", "could be better", Reason.of("sound_clock"), Reason.of("joined_sound"))
    if silent.all():
        return Finding("sound", "could be better", Reason.of("silent"), Reason.of("record_sound"))
    if silent.mean() > USABLE_LOST:
        share = {"share": _percent(float(silent.mean()))}
        gap = _longest_run(silent, sound.time_s.tolist())
        measured = Reason("silent_from", {**share, **gap}) if gap else Reason("silent_in", share)
        return Finding("sound", "could be better", measured, Reason.of("unmute"))
    if sound.is_cut.mean() > MOSTLY_CUT:
        measured = Reason.of("sound_cut", share=_percent(float(sound.is_cut.mean())))
        return Finding("sound", "could be better", measured, Reason.of("softer"))
    loudest_db = float(np.percentile(sound.level_db[~silent], LOUDEST_PERCENTILE))
    return _finding(
        "sound",
        "good" if loudest_db >= QUIET_DB else "could be better",
        Reason.of("loudest", level=-round(loudest_db)),
        Reason.of("louder", level=-round(QUIET_DB)),
    )


def _rate(info: VideoInfo) -> Finding:
    wanted = Settings().sample_fps
    # three digits: 29.97 pictures per second are 30 to a reader
    rate = {"rate": float(f"{info.frame_rate:.3g}")}
    return _finding(
        "pictures per second",
        _graded(info.frame_rate, wanted, USABLE_RATE),
        Reason("constant_rate" if info.constant_rate else "variable_rate", rate),
        Reason.of("higher_rate", rate=wanted),
    )


def _recording(looks: Sequence[Snapshot], info: VideoInfo) -> Finding:
    """Judge missing time, gaps, and pictures that can't be decoded."""
    missing_s = info.missing_s + info.without_picture_s
    broken = sum(not look.sample.decoded for look in looks)
    lost = max(missing_s / info.duration_s, broken / len(looks))
    values: dict[str, Value] = {"duration": clock(info.duration_s)}
    values |= {"seconds": float(missing_s)} if missing_s else {}
    values |= {"broken": broken, "count": len(looks)} if broken else {}
    codes = {(False, False): "whole", (True, False): "time_missing", (False, True): "damaged"}
    code = codes.get((bool(missing_s), bool(broken)), "missing_and_damaged")
    return _finding(
        "recording",
        "good" if not lost else _graded(-lost, 0.0, -USABLE_LOST),
        Reason(code, values),
        Reason.of("let_finish"),
    )


def _finding(name: str, verdict: Verdict, measured: Reason, advice: Reason) -> Finding:
    return Finding(name, verdict, measured, None if verdict == "good" else advice)


def _graded(value: float, good: float, usable: float) -> Verdict:
    """Verdict on a value of which more is better."""
    return "good" if value >= good else "could be better" if value >= usable else "will not work"


def _median(faces: Sequence[Face], measure: Callable[[Face], float]) -> float:
    return float(np.median([measure(face) for face in faces]))


def _percent(share: float) -> int:
    return round(100 * share)


def _tens(share: float) -> int:
    """A share in steps of ten per cent, precise enough to move a camera."""
    return max(10, int(share * 10) * 10)
