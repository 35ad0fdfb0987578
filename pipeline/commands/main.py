"""The entry point: run a command and report its error in one line."""

import errno
import sys
from io import TextIOWrapper

from pipeline.commands.app import app, refuse_repeated_choices
from pipeline.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    discard_output,
    err_console,
    tell_error,
)

# Each import registers commands; the order is that of the help.
# isort: off
from pipeline.commands import process, study, results, adaptation, review  # noqa: F401
from pipeline.commands import preflight, privacy, classifier, machine  # noqa: F401

# isort: on

refuse_repeated_choices()


def main() -> None:
    """The entry point of ``emonext`` and of ``python cli.py``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # show ? for characters that the terminal cannot encode
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            err_console.print("Interrupted. Finished results are kept; run the same command to continue.")
        raise
    except OSError as error:  # disk, network share or pipe; errors about the program's own files have classes
        discard_output(sys.stdout)
        where = "output" if error.filename is None else error.filename
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free space on the disk" if full else "give another path, or correct the cause"
        tell_error(f"{where}: {error.strerror or error}; {advice}, then run again.")
        sys.exit(EXIT_BAD_INPUT)
    except Exception as error:
        if not isinstance(error, expected_errors()):
            raise
        tell_error(str(error))
        sys.exit(EXIT_BAD_INPUT)


def expected_errors() -> tuple[type[Exception], ...]:
    """Base errors of the imported packages; a package that was not imported cannot have raised one."""
    bases = {
        "emonext.errors": "EmoNeXtError",
        "pipeline.errors": "PipelineError",
        "reports.errors": "ReportError",
    }
    return tuple(getattr(sys.modules[home], name) for home, name in bases.items() if home in sys.modules)
