"""Notes on faults of a recording."""

from dataclasses import dataclass
from typing import Literal

NoteKind = Literal["takes", "decoded_order", "lost", "unread", "late", "holes", "early_end"]


@dataclass(frozen=True)
class Note:
    """A fault of a recording that readers of its results must know.

    :param kind: ``takes``: clocks that start again were put one after the other; ``decoded_order``: frames
        got times in the order in which they are decoded; ``lost``: packets gave no picture; ``unread``: an
        end of the file that can't be read; ``late``, ``early_end``: sound without a picture; ``holes``: time
        between two frames that are far apart.
    :param amount: takes, frames, packets, or s.
    """

    kind: NoteKind
    amount: float

    def __str__(self) -> str:
        if (self.kind, self.amount) == ("lost", 1):
            return "1 frame of the file could not be decoded"
        digits = 0 if self.kind in ("takes", "decoded_order", "lost") else 1
        return _NOTES[self.kind].format(f"{self.amount:.{digits}f}")


_NOTES: dict[NoteKind, str] = {
    "takes": "{} recordings were joined in one file; their clocks were put one after the other",
    "decoded_order": "the times in the file contradict the order of its {} frames and were put in that order",
    "lost": "{} frames of the file could not be decoded",
    "unread": "about {} s at the end of the file can't be read; a recording that was joined to another needs "
    "a file of its own",
    "late": "the picture begins {} s after the sound",
    "holes": "no picture for {} s between the first and the last",
    "early_end": "the picture ends {} s before the sound",
}
