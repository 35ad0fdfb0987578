"""Who knows whom: what the rooms of the project import, and what only the command line does."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = ["pipeline", "emonext", "reports"]
FORBIDDEN = {
    "pipeline": {"emonext", "reports", "cli", "timm", "jinja2", "plotly", "typer", "rich"},
    "emonext": {"pipeline", "reports", "cli", "av", "decord", "facenet_pytorch", "polars", "typer", "rich"},
    "reports": {"emonext", "cli", "torch", "decord", "av", "facenet_pytorch", "typer", "rich"},
}
# what a report may know of the pipeline: its results, not how they are made
RESULTS = (
    *("records", "errors", "store.coverage", "store.counts", "store.timeline", "store.status"),
    *("analysis.summaries", "analysis.derive", "analysis.longitudinal", "analysis.highlights"),
    *("analysis.session_results", "analysis.events", "analysis.scales"),
    *("agreement.compare", "stats.reliability"),
)
FOR_REPORTS = {f"pipeline.{name}" for name in RESULTS}

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

STAGES = [
    "errors",
    "records",
    "video.decoding",
    "faces.detection",
    "faces.tracking",
    "faces.classification",
    "store.timeline",
    "store.coverage",
    "processing.session",
    "processing.batch",
]


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("room", ROOMS)
def test_there_is_something_to_look_at(room: str) -> None:
    assert len(modules(room)) > 3


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_does_not_know_what_it_should_not(room: str) -> None:
    known = {(path.name, name) for path in modules(room) for name in imports(path)}
    assert not {(file, name) for file, name in known if name.split(".")[0] in FORBIDDEN[room]}


def test_reports_know_results_and_not_how_they_are_made() -> None:
    known = {name for path in modules("reports") for name in imports(path) if name.startswith("pipeline")}
    assert known <= FOR_REPORTS


def test_pipeline_stages_pass_one_way() -> None:
    """An early stage does not import a later one."""
    for place, stage in enumerate(STAGES):
        later = {f"pipeline.{name}" for name in STAGES[place + 1 :]}
        assert not later & set(imports(ROOT / "pipeline" / f"{stage.replace('.', '/')}.py")), stage


@pytest.mark.parametrize("room", ROOMS)
def test_only_the_command_line_prints_exits_and_sets_up_logging(room: str) -> None:
    nodes = [node for path in modules(room) for node in ast.walk(ast.parse(path.read_text()))]
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert not calls & FOR_THE_COMMAND_LINE


@pytest.mark.parametrize("room", [*ROOMS, "cli.py"])
def test_text_files_are_utf_8_whatever_the_locale(room: str) -> None:
    paths = modules(room) if room in ROOMS else [ROOT / room]
    calls = [
        node for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8"))) if is_text_io(node)
    ]
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
