"""The pictures of an annotated copy: the session's, with faces blurred and boxed, and text below."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.review.anonymise import face_tracks, hold_time, pixelate_planes
from pipeline.review.drawing import (
    EMPTY,
    INK,
    PAPER,
    UNREAD,
    Look,
    draw_faces,
    fill,
    font_size,
    label,
    place,
    samples_of,
)
from pipeline.review.ribbon import Ribbon, panel_height
from pipeline.store.counts import clock
from pipeline.store.timeline import Timeline
from pipeline.video.planes import Planes, colours_of

Blur = Literal["others", "all", "none"]
"""Faces to blur: all but the patient's, all, or none."""

MAX_WIDTH, MAX_HEIGHT = 1280, 720

# Height of the strip of text below the picture, as a share of the picture's height.
_STRIP = 1 / 12
_MIN_STRIP_PX = 24

# Least width with a ribbon, px: its key needs room.
_MIN_RIBBON_PX = 640


@dataclass(frozen=True)
class Layout:
    """Sizes of the picture and of what is below it, px; all even, as the encoder requires.

    :param full_width: more than ``width`` where a ribbon needs more room; the picture is in the middle.
    """

    width: int
    height: int
    full_width: int
    below: int

    @property
    def full_height(self) -> int:
        return self.height + self.below

    @property
    def left(self) -> int:
        """Of the picture."""
        return (self.full_width - self.width) // 4 * 2


def layout_of(width: int, height: int, *, ribbon: bool = False) -> Layout:
    """:param width, height: of the recording's picture, px."""
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
    while True:
        w, h = (max(2, int(length * scale) // 2 * 2) for length in (width, height))
        below = panel_height(h) if ribbon else max(_MIN_STRIP_PX, int(h * _STRIP) // 2 * 2)
        if h + below <= MAX_HEIGHT:
            return Layout(w, h, max(w, _MIN_RIBBON_PX) if ribbon else w, below)
        scale *= 0.995


class Scene:
    """Draws the pictures of one session.

    :param size: of the recording's picture, px.
    """

    def __init__(
        self,
        timeline: Timeline,
        faces: Timeline,
        size: tuple[int, int],
        look: Look,
        blur: Blur,
        *,
        ribbon: bool,
    ) -> None:
        self.layout = layout_of(*size, ribbon=ribbon)
        self.colours = colours_of(size[1])
        self._look, self._blur, self._hold_s = look, blur, hold_time(timeline.metadata)
        self._samples = samples_of(timeline, look)
        self._tracks = face_tracks(faces, (self.layout.width / size[0], self.layout.height / size[1]))
        self._first_s = np.array([track.time_s[0] for track in self._tracks]) - self._hold_s
        self._last_s = np.array([track.time_s[-1] for track in self._tracks]) + self._hold_s
        layout = self.layout
        self._empty = Planes.black(layout.full_width, layout.full_height)
        fill(self._empty, (0, 0, layout.full_width, layout.height), EMPTY, self.colours)
        fill(self._empty, (0, layout.height, layout.full_width, layout.full_height), INK, self.colours)
        self._ribbon: Ribbon | None = None
        if ribbon:
            panel = (layout.full_width, layout.height)
            self._ribbon = Ribbon(timeline, self._samples, look, panel, self.colours)
            self._empty.paste(self._ribbon.panel, 0, layout.height)

    def draw(self, picture: Planes | None, time_s: float) -> Planes:
        """:param picture: of the layout's size, is drawn on; ``None``: it can't be decoded."""
        if picture is None:
            return self._below(
                Planes(self._empty.stacked.copy()), time_s, self._look.labels["decode_error"], UNREAD
            )
        row = self._samples.at(time_s)
        near = np.flatnonzero((self._first_s <= time_s) & (time_s <= self._last_s))
        tracks = [self._tracks[number] for number in near]
        hidden = {"all": tracks, "none": []}.get(self._blur, [one for one in tracks if one.role != "patient"])
        pixelate_planes(picture, [track.region_at(time_s) for track in hidden])
        if row is not None:
            # for a talk, who the others are does not matter
            named = [track for track in tracks if self._ribbon is None or track.role == "patient"]
            draw_faces(picture, named, time_s, self._samples, row, self._look, self.colours)
        whole = Planes(self._empty.stacked.copy())
        whole.paste(picture, self.layout.left, 0)
        if row is None:
            return self._below(whole, time_s, self._look.labels["no_sample"], UNREAD)
        return self._below(whole, time_s, self._samples.text[row], self._samples.colour[row])

    def draw_outside(self, time_s: float) -> Planes:
        """Where the recording does not count."""
        return self._below(Planes(self._empty.stacked.copy()), time_s, self._look.labels["outside"], UNREAD)

    def _below(self, whole: Planes, time_s: float, text: str, colour: str) -> Planes:
        layout = self.layout
        if self._ribbon is not None:
            self._ribbon.draw_now(whole, layout.height, time_s, text, colour)
            return whole
        px = min(font_size(layout.height), layout.below * 2 // 3)
        # the time is another one in every picture: not worth keeping
        now = label.__wrapped__(clock(time_s, digits=2), PAPER, INK, px, self.colours)
        top = layout.height + (layout.below - now.height) // 2
        place(whole, now, px // 2, top)
        if text:
            said = label(text, PAPER, INK, px, self.colours)
            place(whole, said, layout.full_width - said.width - px // 2, top)
        return whole
