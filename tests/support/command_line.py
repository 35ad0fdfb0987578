"""The result of a command."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

import cli
from pipeline.processing.jobs import Engine, Job, OnSession, in_this_process
from pipeline.processing.session import Networks
from pipeline.store.status import Outcome

ROOT = Path(__file__).parents[2]
DONE, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()


Emonext = Callable[..., Ended]


def assert_one_line_naming(ended: Ended, name: str) -> None:
    assert len(ended.err_lines) == 1, ended.err
    assert name in ended.err
    assert "Traceback" not in ended.err + ended.out


def assert_nothing_half_written(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if ".partial" in path.name]


def engine_in_this_process(
    make: Callable[..., Networks], jobs: int | None, device: str, sessions: int
) -> Engine:
    """In place of workers, each of which would import torch; the networks are made as late as theirs."""

    def run(left: Sequence[Job], on_session: OnSession) -> Iterator[Outcome]:
        if left:
            yield from in_this_process(make(cores=1))(left, on_session)

    return run


ENGINE = ("pipeline.commands.process._on_this_machine", engine_in_this_process)
"""To be patched, so that sessions are processed in this process."""


# --- help


def commands() -> list[list[str]]:
    group = typer.main.get_command(cli.app)
    names = []
    for name, command in group.commands.items():
        names += [[name, below] for below in command.commands] if hasattr(command, "commands") else [[name]]
    return names


def timelines(out: Path) -> list[str]:
    return sorted(
        path.relative_to(out / "timelines").as_posix() for path in out.glob("timelines/*/*.parquet")
    )


def name_of(path: Path) -> str:
    """From the root of the project."""
    return path.relative_to(ROOT).as_posix()
