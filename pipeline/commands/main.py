"""The entry: runs a command, and tells its error in one line."""

import errno
import sys
from io import TextIOWrapper

from pipeline.commands.app import app
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    discard_output,
    err_console,
    tell_error,
)

# Each adds its commands, in the order of the help.
# isort: off
from pipeline.commands import process, study, results, review, privacy, classifier, machine  # noqa: F401

# isort: on


def main() -> None:
    """The entry point of ``emonext`` and of ``python cli.py``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows a question mark instead
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            err_console.print("Interrupted. What is finished is kept; the same command goes on from there.")
        raise
    except OSError as error:  # the disk, a share or a pipe: of files of our own other errors tell
        discard_output(sys.stdout)
        where = "output" if error.filename is None else error.filename
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room on the disk" if full else "give another path, or put that right"
        tell_error(f"{where}: {error.strerror or error}; {advice}, then run again.")
        sys.exit(EXIT_BAD_INPUT)
    except Exception as error:
        if not isinstance(error, expected_errors()):
            raise
        tell_error(str(error))
        sys.exit(EXIT_BAD_INPUT)


def expected_errors() -> tuple[type[Exception], ...]:
    """Of the packages that were imported: no other can have raised one, and training needs few of them."""
    bases = {
        "emonext.errors": "EmoNeXtError",
        "pipeline.errors": "PipelineError",
        "reports.errors": "ReportError",
    }
    return tuple(getattr(sys.modules[home], name) for home, name in bases.items() if home in sys.modules)
