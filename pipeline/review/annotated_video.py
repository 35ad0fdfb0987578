"""Write a copy of a session's video with the detections drawn in, for manual checks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

from pipeline.errors import InputError
from pipeline.processing.session import Session
from pipeline.records import OnProgress
from pipeline.review.copy_sound import CopySound, has_sound
from pipeline.review.drawing import Look
from pipeline.review.scene import Blur, Scene
from pipeline.store.counts import number_of
from pipeline.store.files import atomic
from pipeline.store.ids import check_stored_id
from pipeline.store.refusals import refused_sessions
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import Timeline, read_tables, reading_digest, sha256s
from pipeline.video.decoding import sample_grid
from pipeline.video.file_content import joined, sha256_of, stamp
from pipeline.video.planes import Planes
from pipeline.video.prefetch import read_ahead
from pipeline.video.recording import Recording, open_recording, within

# Pictures per second of a copy for a check, if the recording has more; a copy for a talk has all.
_PICTURES_PER_S = 15

# As slower presets do: files half as large at less cost.
_LOOKING_AHEAD = "rc-lookahead=10:mbtree=1"

# Time between key frames, to which players jump, s.
_KEY_S = 2.0

# Time base of which the steps of common frame rates, and milliseconds, are whole multiples.
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class Material:
    """A processed session: tables and recording."""

    timeline: Timeline
    faces: Timeline
    recording: Recording


def review_folder(out: Path, patient_id: str) -> Path:
    """The folder for a patient's review pages."""
    return out / "review" / patient_id


def open_material(out: Path, patient_id: str, session_id: str, videos: Sequence[Path] = ()) -> Material:
    """Read a session's tables and find its recording.

    :param videos: current paths of the recording's files; empty: the paths at processing.
    :raises InputError: an id can't be used, consent was withdrawn, or a video is not the processed one.
    :raises TimelineError: the session has no usable timeline.
    :raises VideoError: a video can't be read.
    """
    timeline, faces = read_consented(out, patient_id, session_id)
    session = Session(patient_id, session_id, Path())
    return Material(timeline, faces, open_recording(find_recording(out, session, timeline, videos)))


def find_recording(
    out: Path, session: Session, timeline: Timeline, videos: Sequence[Path] = ()
) -> Sequence[Path]:
    """The recording's files, checked to be those that were processed; parameters as for `open_material`.

    :raises InputError: a file is not there, or is another one.
    :raises VideoError: a file can't be read.
    """
    before = read_outcomes(out).get(session.ids)
    videos = videos or _processed(out, session, before)
    _check_videos(videos, sha256s(timeline), before)
    return videos


def read_consented(out: Path, patient_id: str, session_id: str) -> tuple[Timeline, Timeline]:
    """A session's timeline and faces.

    :raises InputError: an id can't be used, or consent was withdrawn.
    :raises TimelineError: the session has no usable timeline.
    """
    ids = check_stored_id("PATIENT", patient_id), check_stored_id("SESSION", session_id)
    if ids in refused_sessions(out):
        raise InputError(
            f"{out}: consent to {' '.join(ids)} was withdrawn or never given; nothing of it is shown."
        )
    return read_tables(out, *ids)


def _processed(out: Path, session: Session, before: Outcome | None) -> list[Path]:
    """Paths of the session's files at processing."""
    found = before.videos if before else ()
    if not found:
        raise InputError(f"{out}: has no path of the video of {' '.join(session.ids)}; give `videos` FILE.")
    for video in found:
        if not Path(video).exists():
            raise InputError(f"{video}: not found; give its new path with `videos` FILE.")
    return [Path(video) for video in found]


def _check_videos(videos: Sequence[Path], known: Sequence[str], before: Outcome | None) -> None:
    """Check the videos; compute a sha256 only if size or modification time have changed."""
    if len(videos) != len(known):
        raise InputError(
            f"{videos[0]}: the session's recording has {number_of(len(known), 'file')}, not {len(videos)}; "
            "give `videos` for each of them, in their order."
        )
    if before is not None and (before.video_stamp, before.video_sha256) == (stamp(videos), joined(known)):
        return
    for video, sha256 in zip(videos, known, strict=True):
        if sha256_of(video) != sha256:
            raise InputError(
                f"{video}: not the video that was processed (it has another sha256); "
                "give that one with `videos`, or process this one."
            )


# --- the copy


@dataclass(frozen=True)
class CopyOptions:
    """What an annotated copy shows.

    :param blur: faces to blur.
    :param sound: whether it has the recording's sound; voices identify people.
    :param ribbon: whether the emotions of the whole session are below the picture, as for a talk.
    :param language: of the labels.
    """

    blur: Blur = "others"
    sound: bool = False
    ribbon: bool = False
    language: str = "en"


def write_copy(
    material: Material,
    path: Path,
    look: Look,
    options: CopyOptions = CopyOptions(),
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Write the annotated copy: H.264, at most 1280×720, with the recording's times.

    It holds the picture of each sample, and about 15 pictures per second in all; with a ribbon, every one.
    Parts that do not count are grey, because faces were not searched there.

    :param on_progress: called with (pictures done, pictures in all).
    :raises VideoError: a video can't be read any more.
    :raises OutputError: it can't be written.
    """
    recording = material.recording
    scene = Scene(
        material.timeline,
        material.faces,
        (recording.width, recording.height),
        look,
        options.blur,
        ribbon=options.ribbon,
    )
    movflags = {"movflags": "+faststart"}
    with atomic(path) as partial, av.open(str(partial), "w", format="mp4", options=movflags) as container:
        container.metadata["comment"] = json.dumps(_made_from(material.timeline) | _made_as(options))
        stream = _add_stream(container, recording.frame_rate, scene)
        parts = material.timeline.metadata["session"]["parts"]
        sound = CopySound(container, recording, parts) if options.sound and has_sound(recording) else None
        last = -1
        for time_s, picture in _drawn(material, scene, every=options.ribbon, on_progress=on_progress):
            if sound is not None:
                sound.write_until(time_s)
            frame = av.VideoFrame.from_ndarray(picture.stacked, format="yuv420p")
            frame.pts = last = max(round(time_s / _TIME_BASE), last + 1)
            frame.time_base = _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            sound.end()


def _add_stream(container: av.container.OutputContainer, rate: float, scene: Scene) -> av.VideoStream:
    # without B-frames, times are correct also in players that ignore edit lists
    quality = {"preset": "superfast", "crf": "24", "bf": "0", "x264-params": _LOOKING_AHEAD}
    stream = container.add_stream("libx264", rate=max(1, round(rate)), options=quality)
    stream.width, stream.height, stream.pix_fmt = scene.layout.full_width, scene.layout.full_height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = _TIME_BASE
    stream.gop_size = max(1, round(_KEY_S * min(rate, 2 * _PICTURES_PER_S)))
    codec = stream.codec_context
    codec.colorspace, codec.color_range = scene.colours, ColorRange.MPEG
    return stream


def _drawn(
    material: Material, scene: Scene, *, every: bool, on_progress: OnProgress
) -> Iterator[tuple[float, Planes]]:
    """Time and picture of the frames that count, and one per second of other parts.

    :param every: whether to draw every frame.
    """
    recording, time_s = material.recording, material.recording.time_s
    counts = within(time_s, material.timeline.metadata["session"]["parts"])
    chosen = np.ones(len(time_s), bool)
    if not every:
        chosen[:] = False
        chosen[:: max(1, round(recording.frame_rate / _PICTURES_PER_S))] = True
        chosen[material.timeline.rows["frame"].drop_nulls().to_numpy()] = True
    frames = np.union1d(np.flatnonzero(chosen & counts), sample_grid(time_s, 1.0))
    shown = frames[counts[frames]]
    size = (scene.layout.width, scene.layout.height)
    ahead = read_ahead(recording.planes(shown, size, scene.colours) if len(shown) else (), depth=4)
    for done, frame in enumerate(frames.tolist(), start=1):
        moment = float(time_s[frame])
        if counts[frame]:
            yield moment, scene.draw(next(ahead), moment)
        else:
            yield moment, scene.draw_outside(moment)
        on_progress(done, len(frames))


def options_of_copy(path: Path, timeline: Timeline) -> CopyOptions | None:
    """What an annotated copy shows; ``None`` without a copy, or for a copy of another timeline.

    Its sound is what is heard: a recording can have none.
    """
    made, is_heard = _read_copy(path)
    if not _made_from(timeline).items() <= made.items():
        return None
    return CopyOptions(made["blur"], sound=is_heard, ribbon=made["ribbon"], language=made["language"])


def is_current(path: Path, timeline: Timeline, options: CopyOptions) -> bool:
    """Whether a new copy with these options would be the same."""
    return _read_copy(path)[0] == _made_from(timeline) | _made_as(options)


def _read_copy(path: Path) -> tuple[dict[str, Any], bool]:
    """What a copy was made from, nothing if it can't be read; and whether it has sound."""
    try:
        with av.open(str(path)) as container:
            made = json.loads(container.metadata.get("comment", ""))
            is_heard = bool(container.streams.audio)
    except (OSError, ValueError, av.error.FFmpegError):
        return {}, False
    if isinstance(made, dict):
        made = {"language": CopyOptions.language, **made}  # of earlier versions: always English
    is_ours = isinstance(made, dict) and made.keys() >= _made_as(CopyOptions()).keys()
    return (made, is_heard) if is_ours else ({}, False)


def _made_from(timeline: Timeline) -> dict[str, Any]:
    return {"timeline": reading_digest(timeline), "sha256": sha256s(timeline)}


def _made_as(options: CopyOptions) -> dict[str, Any]:
    return asdict(options) | {"software": version("emonext-care")}
