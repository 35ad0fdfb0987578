"""The Typer app and its command groups, in the order of the help."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup


class _PlainFlags:
    """Show no type beside a flag in the help: Typer writes ``<bool>``, as if the flag took a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class _Group(_PlainFlags, TyperGroup):
    """A group of commands, with the program's help."""


class _Command(_PlainFlags, TyperCommand):
    """Refuse two patients or sessions: otherwise only the last would be processed, unnoticed.

    Of other options the last one counts, so that scripts can put their own values behind defaults.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if option.name in ("patient", "session") and not option.multiple and given.count(option) > 1:
                ctx.fail(f"{option.opts[0]} is given {given.count(option)} times; give it once.")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # of pydantic, which says nothing
            raise


# Headings of the list of commands in the help.
SESSIONS, PRIVACY, CLASSIFIER, MACHINE = "Sessions", "Privacy", "Classifier", "This machine"
app = typer.Typer(
    cls=_Group,
    add_completion=False,
    help="Read facial expressions in recorded care sessions: video in, emotion timelines and reports out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
weights_app = typer.Typer(
    cls=_Group, help="List, import, convert and verify the classifier's weights.", no_args_is_help=True
)
app.add_typer(weights_app, name="weights", rich_help_panel=CLASSIFIER)
study_app = typer.Typer(
    cls=_Group,
    help="Create and check a study's list of sessions; plan and report its analysis.",
    no_args_is_help=True,
)
app.add_typer(study_app, name="study", rich_help_panel=SESSIONS)
audit_app = typer.Typer(
    cls=_Group, help="Show and verify the log of who did what, and when.", no_args_is_help=True
)
app.add_typer(audit_app, name="audit", rich_help_panel=PRIVACY)
data_app = typer.Typer(
    cls=_Group, help="Import labelled faces for training and evaluation.", no_args_is_help=True
)
app.add_typer(data_app, name="data", rich_help_panel=CLASSIFIER)


def refuse_repeated_choices() -> None:
    """For all commands, once they are registered."""
    for one in (app, weights_app, study_app, audit_app, data_app):
        for command in one.registered_commands:
            command.cls = _Command


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"emonext-care {version('emonext-care')}")
        except PackageNotFoundError:
            typer.echo("emonext-care (not installed)")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Parse the options that come before a command."""
