"""Allowed imports between rooms, and rules for the command line."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = ["pipeline", "emonext", "reports"]
COMMANDS = ROOT / "pipeline" / "commands"
FORBIDDEN = {
    "pipeline": {"emonext", "reports", "cli", "timm", "jinja2", "plotly", "typer", "rich"},
    "emonext": {"pipeline", "reports", "cli", "av", "decord", "facenet_pytorch", "polars", "typer", "rich"},
    "reports": {"emonext", "cli", "torch", "decord", "av", "facenet_pytorch", "typer", "rich"},
}
# a room knows only rooms that stand before it
ORDER = [
    *("pipeline.reasons", "pipeline.errors", "pipeline.records"),
    *(
        "pipeline.weight_files",
        "pipeline.video",
        "pipeline.sound",
        "pipeline.faces",
        "pipeline.stats",
        "pipeline.store",
        "pipeline.identity",
    ),
    *("pipeline.analysis", "pipeline.study", "pipeline.robustness", "pipeline.results"),
    *("pipeline.exchange", "pipeline.agreement", "pipeline.privacy"),
    *("pipeline.processing", "pipeline.review", "pipeline.checks", "pipeline.commands"),
]
ORDER_OF_REPORTS = [
    *(
        "reports.errors",
        "reports.session_data",
        "reports.study_data",
        "reports.words",
        "reports.index_data",
        "reports.figures",
        "reports.render",
        "reports.made_pages",
        "reports.outdated",
    ),
    *("reports.assets", "reports.options", "reports.pages", "reports.forms", "reports.write"),
]
# what a report may know of the pipeline: its results, not how they are made
FOR_REPORTS = {
    *("pipeline.reasons", "pipeline.errors", "pipeline.records", "pipeline.stats", "pipeline.store"),
    *("pipeline.analysis", "pipeline.study", "pipeline.robustness", "pipeline.results", "pipeline.agreement"),
}
# every frame goes through these, on machines that draw and tabulate nothing
FRAME_LEVEL = ["pipeline.video", "pipeline.sound", "pipeline.faces", "emonext", "pipeline.checks.benchmark"]

FOR_THE_COMMAND_LINE = {
    "print",
    "exit",
    "quit",
    "sys.exit",
    "os._exit",
    "logging.basicConfig",
    "warnings.filterwarnings",
    "warnings.simplefilter",
    "decord.logging.set_level",
}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def library(room: str) -> list[Path]:
    """The modules of a room without the command line's."""
    return [path for path in modules(room) if COMMANDS not in path.parents]


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_there_is_something_to_look_at(room: str) -> None:
    assert len(modules(room)) > 3


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_does_not_know_what_it_should_not(room: str) -> None:
    known = {(path.name, name) for path in library(room) for name in imports(path)}
    assert not {(file, name) for file, name in known if name.split(".")[0] in FORBIDDEN[room]}


@pytest.mark.parametrize("room", ROOMS)
def test_only_cli_py_knows_the_commands(room: str) -> None:
    known = {name for path in library(room) for name in imports(path)}
    assert not {name for name in known if name.startswith("pipeline.commands")}
    assert {*imports(ROOT / "cli.py")} >= {"pipeline.commands.main"}
    assert len((ROOT / "cli.py").read_text("utf-8").splitlines()) < 30


def room_of(name: str) -> str:
    """``pipeline.video`` of ``pipeline.video.container``; a module that stands alone is its own room."""
    return ".".join(name.split(".")[:2])


def known_rooms(package: str) -> set[tuple[str, str]]:
    """(room, room that it imports) within a package."""
    return {
        (room_of(".".join(path.relative_to(ROOT).with_suffix("").parts)), room_of(name))
        for path in modules(package)
        for name in imports(path)
        if name.startswith(f"{package}.")
    }


@pytest.mark.parametrize(("package", "order"), [("pipeline", ORDER), ("reports", ORDER_OF_REPORTS)])
def test_a_room_knows_only_those_before_it(package: str, order: list[str]) -> None:
    pairs = {(one, other) for one, other in known_rooms(package) if one != other}
    pairs = {pair for pair in pairs if pair[0] != f"{package}.__init__"}
    assert {room for pair in pairs for room in pair} <= set(order)
    assert {pair for pair in pairs if order.index(pair[0]) <= order.index(pair[1])} == set()


@pytest.mark.parametrize("package", ROOMS)
def test_no_modules_import_each_other(package: str) -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(package)}
    order = TopologicalSorter({name: names.keys() & set(imports(path)) for name, path in names.items()})
    order.prepare()  # raises CycleError


def test_reports_know_results_and_not_how_they_are_made() -> None:
    known = {name for path in modules("reports") for name in imports(path) if name.startswith("pipeline")}
    assert {room_of(name) for name in known} <= FOR_REPORTS


@pytest.fixture(scope="module")
def loaded_with() -> dict[str, list[str]]:
    """Each of them, and which packages are there after it; one process, as torch takes seconds to import."""
    lines = ["import sys"]
    for name in FRAME_LEVEL:
        path = name.replace(".", "/")
        paths = [ROOT / f"{path}.py"] if name.count(".") > 1 else modules(path)
        found = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
        lines.append(f"import {', '.join(found)}")
        lines.append(f"print('{name}', *sys.modules.keys() & {{'polars', 'plotly'}})")
    command = [sys.executable, "-c", "\n".join(lines)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: there for name, *there in map(str.split, ended.stdout.splitlines())}


@pytest.mark.parametrize("name", FRAME_LEVEL)
def test_frames_are_read_without_tables_and_figures(loaded_with: dict[str, list[str]], name: str) -> None:
    assert loaded_with[name] == []


@pytest.mark.parametrize(
    "folder",
    [path for room in ROOMS for path in sorted({p.parent for p in (ROOT / room).rglob("*.py")})],
    ids=lambda path: path.name,
)
def test_a_room_holds_few_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 16


@pytest.mark.parametrize("room", ROOMS)
def test_modules_are_short(room: str) -> None:
    assert {path.name for path in modules(room) if len(path.read_text("utf-8").splitlines()) > 400} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_only_the_command_line_prints_exits_and_sets_up_logging(room: str) -> None:
    nodes = [node for path in library(room) for node in nodes_of(path)]
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert not calls & FOR_THE_COMMAND_LINE


@pytest.mark.parametrize("room", [*ROOMS, "cli.py"])
def test_text_files_are_utf_8_whatever_the_locale(room: str) -> None:
    paths = modules(room) if room in ROOMS else [ROOT / room]
    calls = [node for path in paths for node in nodes_of(path) if is_text_io(node)]
    assert [ast.unparse(call) for call in calls if not names_encoding(call)] == []


def is_text_io(node: ast.AST) -> bool:
    """Whether a call opens, reads or writes text, as far as its arguments tell."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    if called.startswith("subprocess."):
        return any(keyword.arg == "text" for keyword in node.keywords)
    if called.startswith(("Image.", "av.", "os.open")):
        return False  # pictures, videos, file descriptors
    modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return called.endswith((".read_text", ".write_text")) or (
        called.split(".")[-1] in ("open", "fdopen") and not any("b" in mode for mode in modes)
    )


def names_encoding(call: ast.Call) -> bool:
    return any(keyword.arg == "encoding" for keyword in call.keywords) or any(
        isinstance(arg, ast.Constant) and arg.value == "utf-8" for arg in call.args
    )


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_promises_is_there(room: str) -> None:
    package = __import__(room)
    names = getattr(package, "__all__", [])
    assert all(hasattr(package, name) for name in names)
    assert len(set(names)) == len(names)


def test_reports_are_drawn_without_the_packages_that_read_videos() -> None:
    program = "import reports, sys; print(*sys.modules.keys() & {'torch', 'decord', 'av', 'facenet_pytorch'})"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = ["torch", "polars", "decord", "av", "plotly", "scipy", "numpy"]
    program = f"import cli, sys; print(*[name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
    assert ended.stderr == ""
