"""Generate documents from the program: ``python tests/support/documents.py`` writes them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = "python tests/support/documents.py"
MADE = f"<!-- Made by `{COMMAND}`: change the program, not this file. -->\n"

# Between these lines of a document that is otherwise written by hand.
BEGIN, END = f"<!-- begin: made by `{COMMAND}` -->\n", "<!-- end -->\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(map(_cell, cells))} |\n" for cells in lines)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    for word, one in below.items():
        yield from _commands(one, f"{name} {word}")
    if not below:
        yield name, command


def _parameter(param: Any) -> tuple[str, str, str]:
    is_option = param.param_type_name == "option"
    name = ", ".join(f"`{one}`" for one in param.opts) if is_option else f"`{param.metavar}`"
    if choices := param.type_descriptor.choices:
        name += f" ({', '.join(f'`{choice}`' for choice in choices)})"
    default = "" if param.default in (None, False, "", float("inf")) else f"`{param.default}`"
    return name, "required" if param.required else default, param.help or ""


def commands() -> str:
    """``docs/commands.md``: every command with its help, arguments and options."""
    import typer

    import cli

    found = list(_commands(typer.main.get_command(cli.app), "emonext"))
    contents = "".join(f"- [`{name}`](#{name.replace(' ', '-')})\n" for name, _ in found)
    parts = [f"{MADE}# Commands\n\n`emonext COMMAND --help` shows the same.\n\n{contents}"]
    for name, command in found:
        text, _, example = command.help.partition("\n\nExample: ")
        example, _, more = example.partition("\n\n")
        if "Columns of the list" in more:
            more = "The columns of the list: [study-list.md](study-list.md)."
        lines = " ".join(example.split()).replace(", then ", "\n").replace(", or ", "\n")
        rows = [_parameter(param) for param in command.params]
        table = "\n" + _table(("argument or option", "default", "meaning"), iter(rows)) if rows else ""
        parts.append(
            f"\n## {name}\n\n{text}\n\n```sh\n{lines}\n```\n" + (f"\n{more}\n" if more else "") + table
        )
    return "".join(parts)


def list_columns() -> str:
    """The table of ``docs/study-list.md``."""
    from pipeline.processing.list_columns import COLUMNS

    names = ((f"`{one.name}`" + (" (required)" if one.required else ""), one.how) for one in COLUMNS)
    return _table(("column", "what to write"), names)


def _schema(schema: Any) -> str:
    def row(field: Any) -> tuple[str, str, str, str]:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        nullable = "may be null" if field.nullable else ""
        return (
            f"`{field.name}`",
            str(field.type).split("<", 1)[0],
            about.get("unit", ""),
            "; ".join(filter(None, (about.get("meaning", ""), nullable))),
        )

    return _table(("column", "type", "unit", "meaning"), map(row, schema))


def output_schema() -> str:
    """The tables of ``docs/output-schema.md``."""
    from pipeline.analysis.scales import SCALES_SCHEMA
    from pipeline.analysis.summaries import EPISODES_SCHEMA, MEASURES_SCHEMA, SESSIONS_SCHEMA
    from pipeline.identity.gallery import GALLERY_SCHEMA
    from pipeline.identity.roles import ROLES_SCHEMA
    from pipeline.robustness.covariate_tables import CHARACTERISTICS_SCHEMA, COVARIATES_SCHEMA
    from pipeline.robustness.missing_compared import MISSING_COMPARED_SCHEMA
    from pipeline.robustness.missing_faces import MISSING_SCHEMA
    from pipeline.robustness.multiverse import MULTIVERSE_SCHEMA
    from pipeline.store.status import STATUS_SCHEMA
    from pipeline.store.timeline import FACES_SCHEMA, SCHEMA_VERSION, TIMELINE_SCHEMA
    from pipeline.study.comparison_tables import CONDITIONS_SCHEMA, TRENDS_SCHEMA
    from pipeline.study.event_locked import EVENTS_SCHEMA
    from pipeline.study.event_windows import WINDOWS_SCHEMA

    tables = {
        "timelines/": TIMELINE_SCHEMA,
        "faces/": FACES_SCHEMA,
        "roles/": ROLES_SCHEMA,
        "gallery/": GALLERY_SCHEMA,
        "episodes/": EPISODES_SCHEMA,
        "summaries/sessions.parquet": SESSIONS_SCHEMA,
        "summaries/measures.parquet": MEASURES_SCHEMA,
        "summaries/conditions.parquet": CONDITIONS_SCHEMA,
        "summaries/multiverse.parquet": MULTIVERSE_SCHEMA,
        "summaries/trends.parquet": TRENDS_SCHEMA,
        "summaries/missing.parquet": MISSING_SCHEMA,
        "summaries/missing_compared.parquet": MISSING_COMPARED_SCHEMA,
        "summaries/events.parquet": EVENTS_SCHEMA,
        "summaries/event_windows.parquet": WINDOWS_SCHEMA,
        "summaries/scales.parquet": SCALES_SCHEMA,
        "summaries/characteristics.parquet": CHARACTERISTICS_SCHEMA,
        "summaries/covariates.parquet": COVARIATES_SCHEMA,
    }
    parts = [f"Schema version of `timelines/` and `faces/`: {SCHEMA_VERSION}.\n"]
    parts += [f"\n## {name}\n\n{_schema(schema)}" for name, schema in tables.items()]
    status = ((f"`{name}`", str(kind)) for name, kind in STATUS_SCHEMA.items())
    parts.append(f"\n## status.parquet\n\n{_table(('column', 'type'), status)}")
    return "".join(parts)


def _filled(name: str, made: str) -> str:
    """A document with what stands between its two lines made again."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{made}{END}{after}"


def documents() -> dict[Path, str]:
    """Path of each document that is made, wholly or in part → its text."""
    docs = ROOT / "docs"
    return {
        docs / "commands.md": commands(),
        docs / "study-list.md": _filled("study-list.md", list_columns()),
        docs / "output-schema.md": _filled("output-schema.md", output_schema()),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for path, text in documents().items():
        path.write_text(text, "utf-8")
