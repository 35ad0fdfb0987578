"""Console output of the commands: results, notes, errors, tables, progress bars, exit codes."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from pipeline.store.counts import number_of

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.processing.jobs import OnSession
    from pipeline.processing.session import Session
    from pipeline.store.spreadsheet import Problem

EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130
# In a narrower terminal, Rich drops columns of a table.
_MIN_WIDTH = 40
# Into a file or pipe, tables are neither folded nor cut.
_ANY_WIDTH = 10_000


class _Output(Console):
    """A console that survives a closed pipe (``| head``): the printing ends, the work continues."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard_output(self.file)


def _output_width() -> int:
    """Columns of the terminal, or a very large number if the output is no terminal."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return max(shutil.get_terminal_size().columns, _MIN_WIDTH) if is_terminal else _ANY_WIDTH


def discard_output(file: IO[str]) -> None:
    """Redirect a file's remaining output to the null device: flushing at exit would fail otherwise."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


# Rich ignores the width of a dumb terminal unless a height is given too
out_console = _Output(width=_output_width(), height=24)
err_console = _Output(stderr=True)


def tell_problems(path: Path, problems: "Sequence[Problem]", done: str = "; nothing was done") -> None:
    """:param done: what this means, after a semicolon."""
    for problem in problems:
        err_console.print(f"{path}: {problem}", markup=False, soft_wrap=True)
    err_console.print(f"{number_of(len(problems), 'error')} to correct{done}.")


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the user typed this parameter."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_given(context: typer.Context, only: str, *names: str) -> None:
    """:raises InputError: the user typed one of these options, which has no effect here."""
    from pipeline.errors import InputError

    for name in names:
        if is_given(context, name):
            raise InputError(f"--{name.replace('_', '-')}: only valid with {only}; leave the option out.")


def warn_of(paths: "Sequence[Path]", kind: str, what: str) -> None:
    """Print one note about files or folders, with the first of them by name."""
    if paths:
        named = ", ".join(map(str, paths[:_MAX_NAMED])) + (", …" if len(paths) > _MAX_NAMED else "")
        warn(f"{what}: {number_of(len(paths), kind)} ({named}).")


def warn(line: str) -> None:
    err_console.print(f"Note: {with_flags(line)}", markup=False, soft_wrap=True)


# A note names at most this many files.
_MAX_NAMED = 5


def tell_left_out(problems: "Sequence[str]") -> None:
    """Print which of the study's own files (events, scales) were not used, and why."""
    for problem in problems:
        err_console.print(f"Left out: {with_flags(problem)}", markup=False, soft_wrap=True)


_FIELDS = (
    *("adjust", "batch_size", "by", "clips", "codes", "device", "engine", "enter", "format", "further_share"),
    *("image_size", "init", "init_share", "jobs", "leave", "min_coverage", "name", "optimizer", "out"),
    *("overlap", "patient_track", "preset", "rated", "rater", "ray_address", "reading", "seconds", "size"),
    *("split", "votes"),
)
FLAGS = {field: f"--{field.replace('_', '-')}" for field in _FIELDS} | {
    "bridge_s": "--bridge",
    "kept_head": "--head",
    "label_map": "--labels",
    "language": "--lang",
    "learning_rate": "--lr",
    "max_unobserved_s": "--max-unobserved",
    "min_face_px": "--min-face",
    "patient_id": "--patient",
    "sample_fps": "--fps",
    "sessions_list": "--list",
    "session_id": "--session",
    "smoothing_s": "--smoothing",
    "step_s": "--step",
    "videos": "--video",
}
"""Field of the library, as a message names it between backticks → the option that sets the field."""


def with_flags(message: str) -> str:
    """A message of the library with options in place of fields."""
    return re.sub(r"`(\w+)`", lambda found: FLAGS.get(found[1], found[0]), message)


def tell_error(message: str) -> None:
    try:
        err_console.print(f"[red]Error:[/red] {on_screen(with_flags(message))}", soft_wrap=True)
    except OSError:
        discard_output(sys.stderr)


def tell_errors(errors: Iterable[Exception], told: Container[object] = ()) -> None:
    """Print each message once, without those that were told elsewhere."""
    for message in dict.fromkeys(map(str, errors)):
        if message not in told:
            tell_error(message)


class _TimeLeft(ProgressColumn):
    """Remaining time, from the mean speed so far: results come in bursts, so the current speed misleads."""

    def render(self, task: Task) -> Text:
        done = task.completed - task.fields["first"]
        if not task.total or done <= 0:
            return Text("")
        left_s = (task.elapsed or 0.0) * (task.total - task.completed) / done
        return Text(f"{timedelta(seconds=round(left_s))} left")


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[..., None]]:
    """Show a bar with the remaining time on a terminal; show nothing elsewhere.

    :returns: to be called as :data:`pipeline.records.OnProgress`; a third argument is a note beside the bar.
    """
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=err_console, disable=not err_console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None, note="", first=0)
        last = 0

        def update(done: int, total: int, note: str = "") -> None:
            nonlocal last
            if done < last or (last == 0 and done > 1):  # the next video, or a continued run
                bar.reset(task, first=done - 1, note=note)
            last = done
            bar.update(task, completed=done, total=total, note=note)

        yield update


def overall_progress(update: Callable[..., None], count: int) -> "OnSession":
    """One bar for sessions of which several are processed at once."""
    shares: dict[tuple[str, str], float] = {}

    def on_session(session: "Session", done: int, total: int) -> None:
        key = session.ids
        shares[key] = max(shares.get(key, 0.0), done / total)  # a second try does not move the bar back
        ended = sum(share == 1 for share in shares.values())
        note = f"{session.patient_id} {session.session_id}, {ended} of {number_of(count, 'session')}"
        update(round(1000 * sum(shares.values())), 1000 * count, note)

    return on_session


@contextmanager
def needing_extra(name: str) -> Iterator[None]:
    """Turn a failed import of an optional dependency into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        tell_error(f"This needs {error.name}: pip install {own_requirement(name)}")
        raise typer.Exit(EXIT_BAD_INPUT) from error


def own_requirement(extra: str) -> str:
    """pip's requirement for this program with an extra; a checkout is not on the index, so name its path."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("emonext-care")
    except PackageNotFoundError:
        return f"--editable '{Path(__file__).parents[2]}[{extra}]'"
    return f"'emonext-care[{extra}]'"


def print_table(title: str, rows: dict[str, str]) -> None:
    say(title)
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, escape(value))
    show_table(table)


def on_screen(text: str) -> str:
    """Text from a file without control characters and Rich markup."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def show_table(table: Table) -> None:
    """Print a table; a narrow terminal folds long cells and cuts nothing off."""
    for column in table.columns:
        column.overflow = "fold"
    out_console.print(table)


def say(line: str) -> None:
    """Print one line of result verbatim: no markup (a path may contain brackets), no folding."""
    out_console.print(line, markup=False, soft_wrap=True)


def tell_to_check(sessions: int, out: Path) -> None:
    """Print how many sessions need a manual check, and the command for it."""
    say(
        f"{number_of(sessions, 'session')} to check: is it the patient, and can the patient be seen? "
        f"Look with `emonext people {quote(str(out))}`."
    )
