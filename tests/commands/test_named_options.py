"""Commands and options that messages, help and documents name exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from command_line import name_of

import cli
from pipeline.commands.console import FLAGS
from pipeline.commands.study import COLUMN_HELP
from pipeline.processing.list_columns import COLUMNS

ROOT = Path(__file__).parents[2]

# Options of other programs.
OTHERS = {
    *("--always", "--dirty"),  # git describe
    "--generate",  # ray get-auth-token
    *("--disable-usage-stats", "--object-store-memory"),  # ray start
    "--version",  # before any command
    "--timeout",  # pytest
    *("--id", "--query-gpu", "--format"),  # nvidia-smi
    *("--clear-output", "--inplace"),  # jupyter nbconvert
    "--work",  # tests/manual/trial_study.py
    *("--head", "--address", "--port", "--node-ip-address", "--num-cpus", "--num-gpus", "--min-worker-port"),
    *("--max-worker-port", "--include-dashboard", "--dashboard-host", "--temp-dir", "--block"),  # ray start
    *("--editable", "--no-deps", "--index-url", "--no-index", "--find-links"),  # pip
}

# The first words of a file of labelled faces, which look like a command.
NO_COMMAND = "emonext faces 1"

FIELD = re.compile(r"^(?:\{\}: )?`(\w+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
COMMAND = re.compile(r"(?<![\w-])emonext ([a-z]+)(?: ([a-z]+))?")


def options_by_command() -> dict[str, set[str]]:
    """``study init`` → its options."""
    found: dict[str, set[str]] = {}

    def add(command: object, name: str) -> None:
        below = getattr(command, "commands", {})
        for word, one in below.items():
            add(one, f"{name} {word}".strip())
        if not below:
            params = getattr(command, "params", [])
            found[name] = {option for param in params for option in param.opts} | {"--help"}

    add(typer.main.get_command(cli.app), "")
    return found


COMMANDS = options_by_command()


def texts_of(path: Path) -> Iterator[str]:
    """Every text of a Python file, with gaps where values are filled in; or the lines of another file."""
    if path.suffix != ".py":
        yield from path.read_text(encoding="utf-8").splitlines()
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def sources() -> list[Path]:
    code = [path for room in ("pipeline", "emonext", "reports") for path in (ROOT / room).rglob("*.py")]
    pages = (ROOT / "reports").rglob("*.po")
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return sorted([ROOT / "cli.py", *code, *pages, *documents])


def library() -> list[Path]:
    return [
        path for path in sources() if path.suffix == ".py" and path.parent != ROOT / "pipeline" / "commands"
    ]


def test_there_is_something_to_look_at() -> None:
    assert "--ray-address" in COMMANDS["process"]
    assert "study check" in COMMANDS
    assert {"cli.py", "README.md", "pipeline/processing/batch.py"} <= set(map(name_of, sources()))


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_every_option_that_is_named_exists(path: Path) -> None:
    known = set().union(*COMMANDS.values()) | OTHERS
    named = {option for text in texts_of(path) for option in OPTION.findall(text)}
    assert named <= known


def test_every_field_has_an_option_that_exists() -> None:
    assert set(FLAGS.values()) <= set().union(*COMMANDS.values())
    texts = [text for path in library() for text in texts_of(path)]
    assert [field for field in FLAGS if not any(f"`{field}`" in text for text in texts)] == []


def test_every_named_field_with_an_option_is_shown_as_that_option() -> None:
    fields = {option.removeprefix("--").replace("-", "_") for option in set().union(*COMMANDS.values())}
    named = {field for path in library() for text in texts_of(path) for field in FIELD.findall(text)}
    assert named & fields <= FLAGS.keys()


def test_an_error_of_the_library_is_about_a_field_and_not_about_an_option() -> None:
    texts = [text for path in library() for text in texts_of(path)]
    assert [text for text in texts if re.match(r"(\{\}: )?--[a-z-]+( \S+)?: ", text)] == []


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_every_command_that_is_named_exists_with_its_options(path: Path) -> None:
    groups = {name.split()[0] for name in COMMANDS}
    for text in texts_of(path):
        for part in re.split(r"[`;|]|\band\b|\bor\b|\bthen\b", text):
            for found in () if part == NO_COMMAND else COMMAND.finditer(part):
                assert found[1] in groups, part
                two = f"{found[1]} {found[2]}"
                command = two if two in COMMANDS else found[1]
                if command in COMMANDS and path.suffix != ".md":
                    assert set(OPTION.findall(part[found.end() :])) <= COMMANDS[command], part


def written_for_people() -> str:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in documents)


def test_the_documents_commands_have_the_options_that_they_give_them() -> None:
    text = written_for_people()
    quoted = [*re.findall(r"`(emonext [a-z][^`]+)`", text), *re.findall(r"(?m)^(emonext [^#\n]+)", text)]
    assert len(quoted) > 60
    for line in (part.strip() for whole in quoted for part in whole.replace("\n", " ").split("&&")):
        found = COMMAND.match(line)
        assert found, line
        two = f"{found[1]} {found[2]}"
        command = two if two in COMMANDS else found[1]
        if command in COMMANDS:
            assert set(OPTION.findall(line)) <= COMMANDS[command], line


def test_what_the_documents_import_exists() -> None:
    from importlib import import_module

    named = re.findall(r"(?m)^from ((?:pipeline|emonext|reports)[.\w]*) import (\w+)$", written_for_people())
    assert ("pipeline.store.timeline", "read_timeline") in named
    for module, function in named:
        assert callable(getattr(import_module(module), function))


def test_help_the_document_and_a_new_list_say_the_same_of_the_columns() -> None:
    from pipeline.processing.list_cells import READERS

    document = (ROOT / "docs" / "study-list.md").read_text(encoding="utf-8")
    assert [column.name for column in COLUMNS] == list(READERS)
    for column in COLUMNS:
        need = " (required)" if column.required else ""
        assert f"| `{column.name}`{need} | {column.how} |\n" in document
        assert f"- **{column.name}**: {column.how}" in COLUMN_HELP
