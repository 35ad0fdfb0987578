"""Draw clips for raters, and cut them from the recordings: the patient's head and shoulders, without sound.

Faces of other people are blurred where they were detected.
"""

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.agreement.clip_sampling import (
    DrawSettings,
    draw,
    find_frame,
    shows_same,
    with_faces,
    write_clips,
)
from pipeline.agreement.rated_clips import Clip, clips_path, read_clips
from pipeline.analysis.summaries import read_sessions
from pipeline.errors import PipelineError
from pipeline.faces.detection import iou
from pipeline.processing.session import Session
from pipeline.records import Ids, OnProgress
from pipeline.review.annotated_video import Material, find_recording, open_material, read_consented
from pipeline.review.anonymise import face_tracks, hold_time, pixelate
from pipeline.store.timeline import written_sessions

Floats = NDArray[np.float64]

MAX_PX = 480
"""Largest length of a clip's longer side, px."""

_AROUND = 0.8
"""Margin around all places of the patient's face in the clip, in sides of the face."""

_MOST_FPS = 25.0

_SAME_FACE = 0.3
"""Least overlap (IoU) of two detections of one face."""

_TIME_BASE = Fraction(1, 90_000)


UNAVAILABLE = "its recording is not where it was, or can't be read"
"""Why nothing of a session can be shown."""

CHANGED = "the patient is another person than when the clips were drawn"


@dataclass(frozen=True)
class Drawn:
    """The clips of the folder's newest draw.

    :param of: number of clips from which they were drawn; ``None`` if they were drawn earlier.
    :param left_out: session → why none of its clips could be drawn.
    """

    clips: tuple[Clip, ...]
    of: int | None = None
    left_out: Mapping[Ids, str] = field(default_factory=dict)


def draw_clips(
    out: Path,
    settings: DrawSettings,
    *,
    again: bool,
    on_session: OnProgress = lambda done, total: None,
) -> Drawn:
    """Draw clips, and add them to the folder's table.

    :param again: draw further clips if there are some already; otherwise these are returned.
    :raises InputError: no clip can be drawn. :raises PipelineError: a table can't be read or written.
    """
    earlier = read_clips(out) if clips_path(out).exists() else []
    draws = list(dict.fromkeys(clip.draw for clip in earlier))
    if earlier and not again:
        there = set(written_sessions(out))
        return Drawn(tuple(clip for clip in earlier if clip.draw == draws[-1] and clip.ids in there))
    frame = find_frame(
        out, read_sessions(out), settings.seconds, lambda ids: why_unavailable(out, ids), on_session
    )
    clips = with_faces(out, draw(frame, settings, len(draws)))
    write_clips(out, [*earlier, *clips])
    return Drawn(tuple(clips), frame.rows.height, frame.left_out)


def why_unavailable(out: Path, ids: Ids) -> str:
    """Why a session's recording can't be shown; an empty text if it is where it was.

    It is not opened, which takes seconds for a long one: :func:`cut_clips` finds out whether it can be read.
    """
    try:
        timeline, _ = read_consented(out, *ids)
        find_recording(out, Session(*ids, Path()), timeline)
    except PipelineError:
        return UNAVAILABLE
    return ""


def cut_clips(
    out: Path, clips: Sequence[Clip], on_clip: OnProgress = lambda done, total: None
) -> tuple[dict[tuple[str, int], bytes], dict[Ids, str]]:
    """Clip, by its key → an MP4 file (H.264); and session → why clips of it can't be shown any more."""
    by_session: defaultdict[Ids, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_session[clip.ids].append(clip)
    found: dict[tuple[str, int], bytes] = {}
    left_out: dict[Ids, str] = {}
    for ids, own in sorted(by_session.items()):
        try:
            material = open_material(out, *ids)
            for clip in own:
                if shows_same(clip, material.timeline):
                    found[clip.key] = cut_clip(material, clip.start_s, clip.end_s)
                else:
                    left_out[ids] = CHANGED
                on_clip(len(found), len(clips))
        except PipelineError:
            left_out[ids] = UNAVAILABLE
    return found, left_out


def cut_clip(material: Material, start_s: float, end_s: float) -> bytes:
    """An MP4 file (H.264) of the patient from ``start_s`` to ``end_s`` of the recording.

    :raises VideoError: the recording can't be read any more.
    """
    left, top, right, bottom = _crop(material, start_s, end_s)
    scale = min(1.0, MAX_PX / max(right - left, bottom - top))
    width, height = (max(2, round(length * scale / 2) * 2) for length in (right - left, bottom - top))
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=round(_MOST_FPS), options={"preset": "veryfast", "crf": "24", "bf": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        for time_s, picture in _pictures(material, start_s, end_s):
            shown = picture.crop((left, top, right, bottom)).resize((width, height), Image.Resampling.BICUBIC)
            frame = av.VideoFrame.from_image(shown)
            frame.pts, frame.time_base = round((time_s - start_s) / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return written.getvalue()


def _pictures(material: Material, start_s: float, end_s: float) -> Iterator[tuple[float, Image.Image]]:
    """Time and picture of the frames, at most 25 per second, with other people's faces blurred."""
    recording = material.recording
    frames = _frames(recording.time_s, start_s, end_s)
    hold_s = hold_time(material.timeline.metadata)
    tracks = face_tracks(material.faces)
    patient = [track for track in tracks if track.role == "patient"]
    others = [track for track in tracks if track.role != "patient"]
    pictures = recording.pictures(frames, (recording.width, recording.height))
    for time_s, picture in zip(recording.time_s[frames].tolist(), pictures, strict=True):
        if picture is None:
            continue
        shown = np.array(picture)
        near = [one.box_at(time_s) for one in patient if one.is_near(time_s, hold_s)]
        faces = np.array(near).reshape(-1, 4)
        for track in others:
            # a second detection of the patient's own face would hide the face that is to be judged
            is_own = (iou(np.broadcast_to(track.box_at(time_s), faces.shape), faces) > _SAME_FACE).any()
            if track.is_near(time_s, hold_s) and not is_own:
                pixelate(shown, track.region_at(time_s))
        yield time_s, Image.fromarray(shown)


def _frames(time_s: NDArray[np.float64], start_s: float, end_s: float) -> NDArray[np.int64]:
    inside = np.flatnonzero((time_s >= start_s) & (time_s < end_s))
    slot = np.floor((time_s[inside] - start_s) * _MOST_FPS + 1e-6)
    first: NDArray[np.int64] = inside[np.diff(slot, prepend=-1) > 0]
    return first


def _crop(material: Material, start_s: float, end_s: float) -> tuple[int, int, int, int]:
    """Pixels of the part that holds the patient's face and what is around it."""
    rows = material.timeline.rows
    rows = rows.filter((rows["time_s"] >= start_s) & (rows["time_s"] < end_s)).drop_nulls("x1")
    boxes = rows.select("x1", "y1", "x2", "y2").to_numpy().astype(np.float64)
    side = float(np.median(np.max(boxes[:, 2:] - boxes[:, :2], axis=1)))
    low, high = boxes[:, :2].min(axis=0) - _AROUND * side, boxes[:, 2:].max(axis=0) + _AROUND * side
    size = (material.recording.width, material.recording.height)
    left, top = np.clip(np.floor(low), 0, None).astype(int).tolist()
    right, bottom = np.clip(np.ceil(high), None, size).astype(int).tolist()
    return left, top, max(right, left + 2), max(bottom, top + 2)
