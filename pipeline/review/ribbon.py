"""The emotions of a whole session as a ribbon below the picture, with a cursor at the shown moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.review.drawing import (
    INK,
    PAPER,
    Look,
    Samples,
    fill,
    font,
    label,
    place,
    readable_on,
)
from pipeline.store.counts import clock
from pipeline.store.timeline import Timeline
from pipeline.video.planes import Planes

HEIGHT = 0.28
"""Of the panel, as a share of the picture's height; of a small picture it is more."""

_QUIET, _GROUND, _STRIPE, _RESTING = "#5b6770", "#eef0f2", "#9aa3aa", "#b9cbe6"

# Less of a column's time than this was read: the column is striped.
_MIN_READ = 0.5

# Rows of the panel, in sizes of the font: what is shown now, the ribbon, the axis, the key.
_NOW, _BAND, _AXIS, _KEY, _GAP = 2.8, 2.4, 1.3, 1.6, 0.3

_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_SMALLEST_PX = 9


def panel_height(picture_height: int) -> int:
    """Even, px."""
    return 2 * round((_NOW + _BAND + _AXIS + _KEY + _GAP) * _font_px(picture_height) / 2)


def _font_px(picture_height: int) -> int:
    return max(15, round(picture_height * HEIGHT / (_NOW + _BAND + _AXIS + _KEY + _GAP)))


@dataclass(frozen=True)
class Columns:
    """What was read in each pixel column of the ribbon.

    :param emotion: (n,) index into the look's emotions; -1 where too little was read, -2 where the eyes were
        shut, -3 outside the session's parts.
    :param height: (n,) mean probability of that emotion, 0…1.
    """

    emotion: NDArray[np.int64]
    height: NDArray[np.float64]


def columns_of(timeline: Timeline, samples: Samples, look: Look, duration_s: float, count: int) -> Columns:
    """The session cut into ``count`` steps of equal length, each with its mean probabilities."""
    rows = timeline.rows
    edges_s = np.linspace(0, duration_s, count + 1)
    knots_s = np.maximum.accumulate(np.stack([samples.time_s, samples.end_s], 1).ravel())
    length_s = samples.end_s - samples.time_s

    def seconds(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each step, weighted by a value of each sample."""
        after = np.cumsum(weight * length_s)
        total = np.stack([after - weight * length_s, after], 1).ravel()
        return np.diff(np.interp(edges_s, knots_s, total))

    known_s = seconds(np.ones(rows.height))
    read = rows["emotion"].is_not_null().to_numpy()
    shut_s = seconds((rows["status"].cast(str) == "eyes_shut").to_numpy().astype(float))
    read_s = seconds(read.astype(float))
    each = np.stack([seconds(rows[f"p_{name}"].fill_null(0).to_numpy() * read) for name in look.words], 1)
    emotion = each.argmax(axis=1)
    height = each.max(axis=1) / np.maximum(read_s, 1e-9)
    emotion[read_s < _MIN_READ * known_s] = -1
    emotion[shut_s > _MIN_READ * known_s] = -2
    emotion[known_s <= 0.01 * duration_s / count] = -3
    return Columns(emotion, np.clip(height, 0, 1))


class Ribbon:
    """The panel below the picture.

    :param size: width of the panel and height of the picture, px.
    """

    def __init__(
        self, timeline: Timeline, samples: Samples, look: Look, size: tuple[int, int], colours: int
    ) -> None:
        self._width, self._px, self._colours = size[0], _font_px(size[1]), colours
        self._duration_s = float(timeline.metadata["video"]["duration_s"])
        self._left = self._px // 2 * 2
        self._top = 2 * round(_NOW * self._px / 2)
        self._band = 2 * round(_BAND * self._px / 2)
        self._columns = self._width - 2 * self._left
        columns = columns_of(timeline, samples, look, self._duration_s, self._columns)
        shown = Image.new("RGB", (self._width, panel_height(size[1])), PAPER)
        shown.paste(self._band_of(columns, look), (self._left, self._top))
        draw = ImageDraw.Draw(shown)
        self._draw_axis(draw)
        self._draw_key(draw, columns, look, shown.height)
        self.panel = Planes.of_rgb(np.asarray(shown), colours)

    def draw_now(self, picture: Planes, top: int, time_s: float, text: str, colour: str) -> None:
        """The moment: its time, what was read, and the cursor.

        :param top: of the panel in the picture, px, even.
        """
        big = round(1.25 * self._px)
        now = f"{clock(time_s)} / {clock(self._duration_s)}"
        shown = label.__wrapped__(now, INK, PAPER, big, self._colours)
        down = (self._top - shown.height) // 4 * 2
        place(picture, shown, self._width - self._left - shown.width + big // 2, top + down)
        if text:
            said = label(text[0].upper() + text[1:], readable_on(colour), colour, big, self._colours)
            place(picture, said, self._left, top + down)
        x = self._left + 2 * round(self._columns * min(time_s / self._duration_s, 1.0) / 2)
        upper, lower = top + self._top - 4, top + self._top + self._band + 4
        fill(picture, (x - 4, upper, x + 4, lower), PAPER, self._colours)
        fill(picture, (x - 2, upper, x + 2, lower), INK, self._colours)

    def _band_of(self, columns: Columns, look: Look) -> Image.Image:
        band = np.empty((self._band, self._columns, 3), np.uint8)
        rows, places = np.indices(band.shape[:2])
        striped = ((rows + places) % 8 < 2)[..., None]
        band[:] = np.where(striped, _rgb(_STRIPE), _rgb(_GROUND))
        band[:, columns.emotion == -2] = _rgb(_RESTING)
        band[:, columns.emotion == -3] = _rgb(PAPER)
        band[:, columns.emotion >= 0] = _rgb(_GROUND)
        filled = self._band - rows <= np.round(columns.height * self._band)
        for number, name in enumerate(look.words):
            band[filled & (columns.emotion == number)] = _rgb(look.colours[name])
        return Image.fromarray(band)

    def _draw_axis(self, draw: ImageDraw.ImageDraw) -> None:
        face, top = font(self._small), self._top + self._band
        room = 2.5 * face.getlength(clock(self._duration_s)) * self._duration_s / self._columns
        step = next((step for step in _TICKS_S if step >= room), _TICKS_S[-1])
        draw.line((self._left, top, self._left + self._columns, top), _QUIET, 1)
        for tick_s in np.arange(0, self._duration_s + 1e-6, step).tolist():
            x = self._left + self._columns * tick_s / self._duration_s
            draw.line((x, top, x, top + self._px / 4), _QUIET, 1)
            text = clock(tick_s)
            half = face.getlength(text) / 2
            x = min(max(x, self._left + half), self._left + self._columns - half)
            draw.text((x, top + self._px / 3), text, _QUIET, face, anchor="mt")

    @property
    def _small(self) -> int:
        return max(_SMALLEST_PX, round(0.8 * self._px))

    def _draw_key(self, draw: ImageDraw.ImageDraw, columns: Columns, look: Look, height: int) -> None:
        """Swatches of what the ribbon shows, and the note if there is room."""
        words = [
            (word, look.colours[name])
            for number, (name, word) in enumerate(look.words.items())
            if (columns.emotion == number).any()
        ]
        others = {-2: (look.labels["eyes_shut"], _RESTING), -1: (look.labels["unread"], None)}
        entries = [*words, *(entry for kind, entry in others.items() if (columns.emotion == kind).any())]
        px = self._small
        while px > _SMALLEST_PX and self._key_width(px, entries) > self._columns:
            px -= 1
        face, x, middle = font(px), float(self._left), height - _KEY * self._px / 2
        for word, colour in entries:
            box = (x, middle - px / 2, x + px, middle + px / 2)
            draw.rectangle(box, colour or _GROUND)
            if colour is None:
                for part in (0.25, 0.75):
                    draw.line((x, box[1] + px * part, x + px * part, box[1]), _STRIPE, 2)
                    draw.line((x + px * part, box[3], box[2], box[1] + px * part), _STRIPE, 2)
            draw.text((x + 1.4 * px, middle), word, INK, face, anchor="lm")
            x += 1.4 * px + face.getlength(word) + 1.4 * px
        note = font(max(_SMALLEST_PX, round(0.9 * px)))
        if x + note.getlength(look.labels["note"]) <= self._left + self._columns:
            draw.text((self._left + self._columns, middle), look.labels["note"], _QUIET, note, anchor="rm")

    def _key_width(self, px: int, entries: list[tuple[str, str]] | list[tuple[str, str | None]]) -> float:
        return sum(font(px).getlength(word) + 2.8 * px for word, _ in entries)


def _rgb(colour: str) -> NDArray[np.uint8]:
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)
