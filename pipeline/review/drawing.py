"""Draw on pictures in YUV: boxes, labels, and the strip of text below the picture.

Everything lies on even pixels, because two rows and two columns share a colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pipeline.review.anonymise import FaceTrack
from pipeline.store.coverage import sample_seconds
from pipeline.store.timeline import Timeline
from pipeline.video.planes import Planes

INK, PAPER, EMPTY = "#1d2b36", "#ffffff", "#3a454e"

UNREAD = "#d5dade"
"""Of faces whose expression is not shown."""

# Above this lightness, 0…255, dark text is easier to read than white text.
_LIGHT = 130


@dataclass(frozen=True)
class Look:
    """Words and colours of the emotions, as in the reports.

    :param words, colours: by name, in the order in which they are shown; colours such as ``#e69f00``.
    :param labels: what else is written: status, fault and role by their names; ``no_sample``, ``outside``
        (of the session's parts), ``unread``; ``note``, what an estimate is; and ``told``, ``{what}: {said}``.
    """

    words: Mapping[str, str]
    colours: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Samples:
    """What is drawn from each sample to the next.

    :param time_s, end_s: (n,) begin and end, s.
    :param text: such as ``happy 72 %``, or ``not readable: too dark``.
    :param colour: of the emotion; of unread samples, grey.
    """

    time_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    text: list[str]
    colour: list[str]

    def at(self, time_s: float) -> int | None:
        row = int(np.searchsorted(self.time_s, time_s, side="right")) - 1
        return row if row >= 0 and time_s < self.end_s[row] else None


def samples_of(timeline: Timeline, look: Look) -> Samples:
    rows, time_s = timeline.rows, timeline.rows["time_s"].to_numpy()
    text, colour = [], []
    for row in rows.iter_rows(named=True):
        emotion, fault = row["emotion"], row["fault"]
        if emotion:
            text.append(f"{look.words[emotion]} {100 * row['p_' + emotion]:.0f} %")
        else:
            status = look.labels[row["status"]]
            text.append(_told(look, status, look.labels[fault]) if fault else status)
        colour.append(look.colours[emotion] if emotion else UNREAD)
    return Samples(time_s, time_s + sample_seconds(timeline), text, colour)


def _told(look: Look, what: str, said: str) -> str:
    """``patient: happy 72 %``."""
    return look.labels["told"].format(what=what, said=said)


def draw_faces(
    picture: Planes,
    tracks: Sequence[FaceTrack],
    time_s: float,
    samples: Samples,
    row: int,
    look: Look,
    colours: int,
) -> None:
    """Draw a box with the role for each face of the sample; the expression only for the patient."""
    font_px, line = font_size(picture.height), max(2, picture.height // 480 * 2)
    # the patient last, so that no other box covers it
    for track in sorted(tracks, key=lambda one: one.role == "patient"):
        if not track.has_sample(samples.time_s[row]):
            continue
        left, top, right, bottom = (2 * (track.box_at(time_s) / 2).round().astype(int)).tolist()
        is_patient = track.role == "patient"
        colour = samples.colour[row] if is_patient else UNREAD
        said = look.labels[track.role]
        if is_patient and samples.text[row]:
            said = _told(look, said, samples.text[row])
        frame(picture, (left - line, top - line, right + line, bottom + line), 3 * line, INK, colours)
        frame(picture, (left, top, right, bottom), line, colour, colours)
        shown = label(said, readable_on(colour), colour, font_px, colours)
        # above the box, or at its lower edge if there is no room
        above = top - line - shown.height
        place(picture, shown, left, above if above >= 0 else min(bottom, picture.height - shown.height))


def place(picture: Planes, shown: Planes, left: int, top: int) -> None:
    """Paste, moved so that it lies within the picture; leave out what is too large for it."""
    if shown.width <= picture.width and shown.height <= picture.height:
        x, y = min(max(left, 0), picture.width - shown.width), min(max(top, 0), picture.height - shown.height)
        picture.paste(shown, x // 2 * 2, y // 2 * 2)


def frame(picture: Planes, box: tuple[int, int, int, int], line: int, colour: str, colours: int) -> None:
    """The outline of a box; the line lies within the box."""
    left, top, right, bottom = box
    for edge in (
        (left, top, right, top + line),
        (left, bottom - line, right, bottom),
        (left, top, left + line, bottom),
        (right - line, top, right, bottom),
    ):
        fill(picture, edge, colour, colours)


def fill(picture: Planes, box: tuple[int, int, int, int], colour: str, colours: int) -> None:
    """:param box: left, top, right and bottom, even; may reach beyond the picture."""
    left, top, right, bottom = (max(edge, 0) for edge in box)
    for plane, level, step in zip(picture.each, _levels(colour, colours), (1, 2, 2), strict=True):
        plane[top // step : bottom // step, left // step : right // step] = level


@cache
def _levels(colour: str, colours: int) -> tuple[int, int, int]:
    """Y, U and V."""
    rgb = np.full((2, 2, 3), ImageColor.getrgb(colour), np.uint8)
    y, u, v = Planes.of_rgb(rgb, colours).each
    return int(y[0, 0]), int(u[0, 0]), int(v[0, 0])


def readable_on(colour: str) -> str:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > _LIGHT else PAPER


@lru_cache(maxsize=1024)
def label(text: str, ink: str, paper: str, font_px: int, colours: int) -> Planes:
    """A line of text on a coloured ground."""
    face = font(font_px)
    width = 2 * round((face.getlength(text) + font_px) / 2)
    height = 2 * round(0.75 * font_px)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text((font_px / 2, height / 2), text, 255, face, anchor="lm")
    full = np.asarray(mask, np.float32) / 255
    half = full.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    shown = Planes(np.empty((height * 3 // 2, width), np.uint8))
    levels = zip(_levels(ink, colours), _levels(paper, colours), strict=True)
    for plane, share, (of_ink, of_paper) in zip(shown.each, (full, half, half), levels, strict=True):
        plane[:] = np.round(of_paper + (of_ink - of_paper) * share)
    return shown


def font_size(height: int) -> int:
    """Readable at this height of the picture, px."""
    return max(14, height // 28)


@cache
def font(px: int) -> ImageFont.FreeTypeFont:
    """The Latin letters of DejaVu Sans Condensed: Pillow's default font has no accents."""
    with (resources.files("pipeline.review") / "labels.ttf").open("rb") as file:
        return ImageFont.truetype(BytesIO(file.read()), px)
