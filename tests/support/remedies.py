"""The table of remedies: which message advises what, and a function that does as the message says.

A case is a generator. It yields first how the message comes about, and then, once for each way that the
message names, how the same command ends after somebody did as they were told.
"""

import ast
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import xlsxwriter
from openpyxl import Workbook

import cli
from pipeline.commands.console import EXIT_BAD_INPUT, with_flags
from pipeline.commands.main import expected_errors
from pipeline.store.encryption import use_no_key
from pipeline.store.parquet import read_metadata, read_table, write_table

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command, or a call of a function, ended."""

    code: int
    text: str


Steps = Iterator[Ended]


@dataclass(frozen=True)
class Kit:
    """What the cases do with a folder of their own; a blank in its path is part of the trial.

    :param processed: an output folder with P1 S1 and P2 S1, to be copied.
    :param clip: a video of two seconds with a face.
    """

    folder: Path
    processed: Path
    clip: Path
    weights: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self, *arguments: object) -> Ended:
        """A command, in this process; whatever key an earlier one was given it does not know."""
        use_no_key()
        self.capture.readouterr()
        self.patch.setattr(sys, "argv", ["emonext", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        out, err = self.capture.readouterr()
        assert isinstance(code, int)
        return Ended(code, out + err)

    def call(self, function: Callable[..., object], *arguments: object) -> Ended:
        """A function of the library; its error is the text, as a command tells it."""
        try:
            function(*arguments)
        except expected_errors() as error:
            return Ended(EXIT_BAD_INPUT, with_flags(str(error)))
        return Ended(0, "")

    def process(self, *arguments: object, out: Path | None = None) -> Ended:
        """``emonext process`` with the small network."""
        options = ("--model", self.weights, "--device", "cpu")
        return self.run("process", *arguments, "--out", out or self.out, *options)

    def named(self, ended: Ended, **words: object) -> Ended:
        """The command that a message names between backticks, or after its last colon, as it stands there.

        :param words: what stands for something, such as FILE, and what to write in its place.
        """
        quoted = re.findall(r"`(emonext [^`]+)`|: (emonext .+)", ended.text)
        parts = shlex.split("".join(quoted[-1]))[1:]
        arguments = [words.get(part, part) for part in parts]
        if arguments[0] == "process":
            arguments += ["--model", self.weights, "--device", "cpu"]
        return self.run(*arguments)

    def video(self, name: str = "P1_S1.mp4") -> Path:
        """A recording of its own."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.clip, path)
        with path.open("ab") as file:
            file.write(b"\0\0\0\x18free" + name[:16].encode().ljust(16))
        return path

    def study(self) -> Path:
        """The output folder with P1 S1 and P2 S1."""
        return shutil.copytree(self.processed, self.out)

    def table(self, name: str, *lines: str, folder: Path | None = None) -> Path:
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    def sessions(self, *lines: str, header: str = "patient_id;session_id;video;consent") -> Path:
        """A list of sessions."""
        return self.table("sessions.csv", header, *lines)


Case = Callable[[Kit], Steps]


@dataclass(frozen=True)
class Remedy:
    """:param messages: each as ``module: a part of the text``, with ``{}`` for what is filled in."""

    messages: tuple[str, ...]
    carry_out: Case
    name: str = field(compare=False)


TABLE: list[Remedy] = []


def remedy(*messages: str) -> Callable[[Case], Case]:
    """Enters a case for these messages; the first is the one that it provokes."""

    def enter(case: Case) -> Case:
        TABLE.append(Remedy(messages, case, case.__name__))
        return case

    return enter


def pattern_of(message: str) -> re.Pattern[str]:
    """Finds a message, or a part of it, where its gaps are filled in."""
    return re.compile(".*".join(map(re.escape, message.split("{}"))))


# --- what the program's texts advise

ADVICE = re.compile(
    r"`?emonext [a-z]|(?<![\w-])--[a-z]|\b([Gg]ive|[Rr]un|[Dd]elete|[Rr]ename|[Rr]emove|[Ii]nstall) "
    r"|[Nn]ame (it|another|one)|must name|[Ss]ave it|[Mm]ove it|make it|take it|choose another|put it"
    r"|fetch it|again\b|anew\b|leave out"
    r"|[;:,.] (write|use|say|keep|add|correct|make|wait|link|edit|put|process|export|fill|lie)\b",
)


@cache
def texts() -> frozenset[str]:
    """Every text that is no help and no docstring, as a command tells it; ``{}`` is what is filled in."""
    return frozenset(map(with_flags, _texts()))


def _texts() -> Iterator[str]:
    rooms = [
        ROOT / "cli.py",
        *(p for room in ("pipeline", "reports", "emonext") for p in (ROOT / room).rglob("*.py")),
    ]
    for path in sorted(rooms):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        aside = {id(part) for node in ast.walk(tree) for part in _aside(node)}
        for node in ast.walk(tree):
            if id(node) in aside:
                continue
            if isinstance(node, ast.JoinedStr):
                parts = (str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%\(\w+\)s", "{}", node.value)


def _aside(node: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, help, and the parts of a text with gaps."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    if isinstance(node, ast.keyword) and node.arg == "help":
        yield from ast.walk(node.value)
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from ast.walk(part) if isinstance(part, ast.Constant) else _formats(part)


def _formats(part: ast.AST) -> Iterator[ast.AST]:
    """How a value is written, such as ``.1f``."""
    if isinstance(part, ast.FormattedValue) and part.format_spec is not None:
        yield from ast.walk(part.format_spec)


def videos(kit: Kit) -> list[Path]:
    """The recordings of :meth:`Kit.study`."""
    return sorted(kit.processed.parent.glob("*.mp4"))


def works(done: Ended, then: Ended) -> Ended:
    """How the second ended, after the first succeeded."""
    assert done.code == 0, done
    return then


def rewrite(path: Path, change, **metadata: object) -> None:
    """The table with other rows or metadata, whole."""
    write_table(path, change(read_table(path)), {**read_metadata(path), **metadata})


HEAD = "patient_id;session_id;video;consent"
ONE = "P12;S1;P1_S1.mp4;yes"


def workbook(path: Path, *cells: object) -> Path:
    book = Workbook()
    for row in (HEAD.split(";"), cells or ONE.split(";")):
        book.active.append(row)
    book.save(path)
    return path


def workbook_with_formula(path: Path) -> Path:
    """As Excel saves it: with the formula's result, which openpyxl can't write."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row("A1", [*HEAD.split(";"), "x_sum"])
        sheet.write_row("A2", ONE.split(";"))
        sheet.write_formula(1, len(HEAD.split(";")), "=1+1", value=2)
    return path


def toml(message: str, bad: str, *good: str, name: str = "study.toml") -> None:
    """Enters a case: settings that are refused, and settings as advised."""

    def case(kit: Kit) -> Steps:
        kit.video()
        for number, text in enumerate((bad, *good)):
            kit.table(name, text)
            yield kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"), out=kit.folder / f"out{number}")

    case.__name__ = f"{name} {bad}"
    remedy(message)(case)


# --- events and scales, beside the results


def events(message: str, *texts: str) -> None:
    """Enters a case: a list of events that is left out, and one as advised."""

    def case(kit: Kit) -> Steps:
        kit.study()
        for text in texts:
            kit.table("events.csv", *text.split("|"), folder=kit.out)
            yield kit.run("report", kit.out)

    case.__name__ = f"events {texts[0]}"
    remedy(message)(case)
