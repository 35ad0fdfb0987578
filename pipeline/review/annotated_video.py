"""Write a copy of a session's video with the detections drawn in, for manual checks."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import InputError
from pipeline.processing.jobs import joined, stamp
from pipeline.processing.session import Session
from pipeline.review.anonymise import FaceTrack, face_tracks, hold_time, pixelate
from pipeline.store.counts import clock, number_of
from pipeline.store.coverage import sample_seconds
from pipeline.store.files import atomic
from pipeline.store.ids import check_id
from pipeline.store.refusals import refused_sessions
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import Timeline, read_tables
from pipeline.video.container import sha256_of
from pipeline.video.decoding import sample_grid
from pipeline.video.prefetch import read_ahead
from pipeline.video.recording import Recording, open_recording, within

Blur = Literal["others", "all", "none"]
"""Faces to blur: all but the patient's, all, or none."""

MAX_WIDTH, MAX_HEIGHT = 1280, 720

# Height of the strip of text below the picture, as a share of the picture's height.
_STRIP = 1 / 12
_MIN_STRIP_PX = 24

_INK, _PAPER, _EMPTY = "#1d2b36", "#ffffff", "#3a454e"
_COLOURS = {"patient": "#ffd400", "caregiver": "#56b4e9", "other": "#56b4e9", "unknown": "#d5dade"}

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
    session = Session(check_id("PATIENT", patient_id), check_id("SESSION", session_id), Path())
    if session.ids in refused_sessions(out):
        raise InputError(
            f"{out}: consent to {' '.join(session.ids)} was withdrawn or never given; nothing of it is shown."
        )
    timeline, faces = read_tables(out, *session.ids)
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


def sha256s(timeline: Timeline) -> list[str]:
    """Of the recording's files, in order of time."""
    return [file["sha256"] for file in timeline.metadata["video"]["files"]]


# --- the copy


def write_copy(
    material: Material,
    path: Path,
    blur: Blur = "others",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the annotated copy: H.264, at most 1280×720, original picture times, no sound.

    Sound could identify people. Parts that do not count are grey, because faces were not searched there.

    :param on_progress: called with (pictures done, pictures in all).
    :raises VideoError: a video can't be read any more.
    :raises OutputError: it can't be written.
    """
    recording = material.recording
    layout = _layout(recording.width, recording.height)
    options = {"movflags": "+faststart"}
    with atomic(path) as partial, av.open(str(partial), "w", format="mp4", options=options) as container:
        container.metadata["comment"] = json.dumps(_made_from(material.timeline) | {"blur": blur})
        # without B-frames, times are correct also in players that ignore edit lists
        quality = {"preset": "veryfast", "crf": "23", "bf": "0"}
        stream = container.add_stream("libx264", rate=max(1, round(recording.frame_rate)), options=quality)
        stream.width, stream.height, stream.pix_fmt = layout.width, layout.full_height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        stream.gop_size = max(1, round(2 * recording.frame_rate))
        last = -1
        for time_s, picture in _drawn(material, layout, blur, on_progress):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = last = max(round(time_s / _TIME_BASE), last + 1)
            frame.time_base = _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def blur_of_copy(path: Path, timeline: Timeline) -> str | None:
    """The blur of an annotated copy; ``None`` without a copy, or for a copy of another timeline."""
    try:
        with av.open(str(path)) as container:
            made = json.loads(container.metadata.get("comment", ""))
    except (OSError, ValueError, av.error.FFmpegError):
        return None
    blur = made.pop("blur", None)
    return blur if made == _made_from(timeline) else None


def _made_from(timeline: Timeline) -> dict[str, Any]:
    return {"processed": timeline.metadata["created_at"], "sha256": sha256s(timeline)}


@dataclass(frozen=True)
class _Layout:
    """Sizes of the picture and the strip of text, px; all even, as the encoder requires."""

    width: int
    height: int
    strip: int

    @property
    def full_height(self) -> int:
        return self.height + self.strip


def _layout(width: int, height: int) -> _Layout:
    """:param width, height: of the recording's picture, px."""
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / (height * (1 + _STRIP)))
    width, height = (max(2, int(length * scale) // 2 * 2) for length in (width, height))
    return _Layout(width, height, max(_MIN_STRIP_PX, int(height * _STRIP) // 2 * 2))


@dataclass(frozen=True)
class _Samples:
    """The text for the pictures from each sample to the next.

    :param time_s, end_s: (n,) begin and end, s.
    :param status, reading: such as ``no face``, and ``happy 72 %`` or nothing.
    """

    time_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    status: list[str]
    reading: list[str]

    def at(self, time_s: float) -> int | None:
        row = int(np.searchsorted(self.time_s, time_s, side="right")) - 1
        return row if row >= 0 and time_s < self.end_s[row] else None


def _samples(timeline: Timeline) -> _Samples:
    rows, time_s = timeline.rows, timeline.rows["time_s"].to_numpy()
    reading = [
        f"{row['emotion']} {100 * row['p_' + row['emotion']]:.0f} %" if row["emotion"] else ""
        for row in rows.iter_rows(named=True)
    ]
    status = [str(status).replace("_", " ") for status in rows["status"]]
    return _Samples(time_s, time_s + sample_seconds(timeline), status, reading)


def _drawn(
    material: Material, layout: _Layout, blur: Blur, on_progress: Callable[[int, int], None]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """(time_s, (H, W, 3) uint8 RGB) of every picture that counts, and one per second of other parts."""
    recording, metadata = material.recording, material.timeline.metadata
    time_s, hold_s, samples = recording.time_s, hold_time(metadata), _samples(material.timeline)
    tracks = face_tracks(material.faces, (layout.width / recording.width, layout.height / recording.height))
    first_s = np.array([track.time_s[0] for track in tracks]) - hold_s
    last_s = np.array([track.time_s[-1] for track in tracks]) + hold_s
    counts = within(time_s, metadata["session"]["parts"])
    frames = np.union1d(np.flatnonzero(counts), sample_grid(time_s, 1.0))
    pictures = recording.pictures(frames[counts[frames]], (layout.width, layout.height))
    ahead = read_ahead(pictures, depth=4)
    for done, frame in enumerate(frames.tolist(), start=1):
        moment, row = float(time_s[frame]), None
        canvas = Image.new("RGB", (layout.width, layout.full_height), _EMPTY)
        if not counts[frame]:
            text = "not part of the session"
        elif (picture := next(ahead)) is None:
            text = "decode error"
        else:
            row = samples.at(moment)
            text = "no sample" if row is None else f"{samples.status[row]}   {samples.reading[row]}"
            shown = Image.fromarray(picture)
            near = [tracks[k] for k in np.flatnonzero((first_s <= moment) & (moment <= last_s))]
            _hide(shown, near, moment, blur)
            if row is not None:
                _frame(shown, near, moment, samples, row)
            canvas.paste(shown)
        _write_strip(canvas, layout, moment, text)
        yield moment, np.asarray(canvas)
        on_progress(done, len(frames))


def _hide(picture: Image.Image, tracks: Sequence[FaceTrack], time_s: float, blur: Blur) -> None:
    for track in tracks:
        if blur == "all" or (blur == "others" and track.role != "patient"):
            pixelate(picture, track.region_at(time_s))


def _frame(
    picture: Image.Image, tracks: Sequence[FaceTrack], time_s: float, samples: _Samples, row: int
) -> None:
    """Draw a box with the role for each face of the sample; the expression only for the patient."""
    draw, font = ImageDraw.Draw(picture), _font(picture.height)
    line = max(2, picture.height // 240)
    for track in tracks:
        if samples.time_s[row] not in track.time_s:
            continue
        left, top, right, bottom = track.box_at(time_s).round().astype(int).tolist()
        colour = _COLOURS[track.role]
        reading = samples.reading[row] if track.role == "patient" else ""
        draw.rectangle((left - line, top - line, right + line, bottom + line), outline=_INK, width=3 * line)
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        text = f" {track.role}{': ' if reading else ''}{reading} "
        across, down = (round(length) for length in draw.textbbox((0, 0), text, font, anchor="lt")[2:])
        x = min(max(left, 0), max(picture.width - across, 0))
        # above the box, or at its lower edge if there is no room
        y = top - line - 2 * down if top - line - 2 * down >= 0 else min(bottom, picture.height - 2 * down)
        draw.rectangle((x, y, x + across, y + 2 * down), fill=colour)
        draw.text((x, y + down), text, _INK, font, anchor="lm")


def _write_strip(canvas: Image.Image, layout: _Layout, time_s: float, text: str) -> None:
    draw, font = ImageDraw.Draw(canvas), _font(layout.height)
    draw.rectangle((0, layout.height, layout.width, layout.full_height), fill=_INK)
    middle, edge = layout.height + layout.strip / 2, layout.strip / 3
    draw.text((edge, middle), clock(time_s, digits=2), _PAPER, font, anchor="lm")
    draw.text((layout.width - edge, middle), text.strip(), _PAPER, font, anchor="rm")


@cache
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's default font, readable at this picture height."""
    return ImageFont.load_default(max(12, height // 28))
