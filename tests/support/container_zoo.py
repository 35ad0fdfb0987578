"""Made recordings, healthy and faulty, whose every picture shows its own number.

One specimen is drawn for each number of a seed. What a decoder must give is known without one: which
numbers are shown, in which order, how the picture is turned, and mostly when.
"""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from zoo_faults import _FAULTY
from zoo_formats import _MKV, _MP4, _WEB, CODINGS, FORMATS, Coding, Fault, Plan, Specimen, kind_of


def make(folder: Path, seed: int) -> Specimen:
    """The specimen of a seed."""
    fault, suffix = kind_of(seed)
    random = np.random.default_rng(seed)
    plan, described = _plan(random, fault, suffix)
    path = folder / f"{seed}-{fault}{suffix}"
    made = _FAULTY[fault](path, plan, random)
    if suffix == ".mpg" or "cover" in made.description:
        made = replace(made, stream=_first_stream(path))
    return replace(made, description=f"{path.name}: {described}; {made.description}".rstrip("; "))


def _first_stream(path: Path) -> int:
    """A program stream has no table of streams, and MP4 stores covers last."""
    with av.open(str(path)) as container:
        return int(container.streams.video[0].index)


def _plan(random: np.random.Generator, fault: Fault, suffix: str) -> tuple[Plan, str]:
    form = FORMATS[suffix]
    codings = [name for name in form.codings if _suits(CODINGS[name], name, fault, suffix)]
    name = "mpeg4" if fault == "packed" else str(random.choice(codings))
    count, gop = int(random.integers(50, 120)), int(random.integers(4, 30))
    sound = fault not in ("trimmed", "packed", "turned") and random.random() < 0.5
    options = _options(random, fault, suffix, CODINGS[name].reorders)
    plan = Plan(
        CODINGS[name],
        form,
        gop,
        tuple(range(count)),
        tuple(range(0, 40 * count, 40)),
        sound_s=(0.0, count / 25) if sound else None,
        sound_first=bool(random.random() < 0.5),
        options=options,
    )
    place = ("first" if plan.sound_first else "last") if sound else "none"
    return plan, f"{name}, {count} pictures, gop {gop}, sound {place}, {dict(options)}"


def _suits(coding: Coding, name: str, fault: Fault, suffix: str) -> bool:
    if fault == "as-stored":
        return coding.reorders
    if fault == "resized" and suffix in _MKV:
        return name in (*_WEB, "mjpeg")  # the others' sizes are in the header
    if fault == "resized" and name == "h264-interlaced":
        return False  # half of a picture's height must be even
    if fault == "twice":
        return not coding.reorders
    return coding.any_time or fault != "uneven"


def _options(
    random: np.random.Generator, fault: Fault, suffix: str, reorders: bool
) -> tuple[tuple[str, str], ...]:
    if suffix in _MKV and fault == "set-back":
        return (("cluster_time_limit", "500"), ("write_crc32", "0"))
    if suffix not in _MP4:
        return ()
    fragments = [
        (("movflags", "frag_keyframe+empty_moov"),),
        (("movflags", "frag_keyframe+empty_moov+default_base_moof"),),
        (("movflags", "empty_moov"), ("frag_duration", "300000")),
    ]
    if not reorders:  # FFmpeg writes wrong times into fragments of one picture each
        fragments.append((("movflags", "frag_every_frame+empty_moov"),))
    whole = [
        (),
        (("movflags", "faststart"),),
        (("use_editlist", "0"),),
        (("movflags", "negative_cts_offsets"),),
    ]
    if fault in ("trimmed", "joined"):
        return ()
    if fault == "late":  # only an edit list says when the first picture is shown
        fragments, whole = [], [option for option in whole if option != (("use_editlist", "0"),)]
    choices = fragments if fault == "fragmented" else whole + fragments
    return choices[int(random.integers(len(choices)))]
