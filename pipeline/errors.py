"""The errors of this package.

    PipelineError
    ├── VideoError       a video that can't be opened or decoded
    ├── InputError       an id, a setting or a list of sessions that can't be used
    │   └── DoubtfulTableError   a table that can be read, but perhaps not as it was meant
    ├── OutputError      a folder or file that can't be written, or that exists already
    ├── TimelineError    a file that is not a timeline of this program
    └── NotEnoughError   too little data for a result; the message is the reason

Every message names the file and the remedy, except NotEnoughError's, which the result tables store.
"""

from pathlib import Path
from typing import NoReturn, Self

from pipeline.reasons import Reason, Value


class PipelineError(Exception):
    """Base class of the errors that this package raises.

    :ivar reason: the message without the file's name; ``None`` if only the message tells it.
    """

    reason: Reason | None = None

    @classmethod
    def about(cls, path: Path, code: str, **values: Value) -> Self:
        """The error with a :class:`pipeline.reasons.Reason`."""
        reason = Reason.of(code, **values)
        return cls._with(f"{path}: {reason}", reason)

    @classmethod
    def of(cls, code: str, **values: Value) -> Self:
        """As :meth:`about`, where no file is at fault."""
        reason = Reason.of(code, **values)
        return cls._with(str(reason), reason)

    @classmethod
    def _with(cls, message: str, reason: Reason) -> Self:
        error = cls(message)
        error.reason = reason
        return error


class VideoError(PipelineError):
    """A video can't be opened or decoded."""


class InputError(PipelineError):
    """An id, a setting or a list of sessions can't be used."""


class DoubtfulTableError(InputError):
    """A table can be read, but perhaps not as it was meant: it must not be passed over as unreadable."""


class OutputError(PipelineError):
    """A folder or file can't be written, or exists already."""


class TimelineError(PipelineError):
    """A file is not a timeline of this program."""


class NotEnoughError(PipelineError):
    """Too little data to compare; result tables store the message as the reason for a missing number."""


def raise_error(error: PipelineError) -> NoReturn:
    """For callers that handle no error: what a callback does by default."""
    raise error
