"""The commands' groups, in the order of the help."""

from typing import Annotated

import typer

# How the list of commands is grouped.
SESSIONS, PRIVACY, CLASSIFIER, MACHINE = "Sessions", "Privacy", "Classifier", "This machine"
app = typer.Typer(
    add_completion=False,
    help="Reads facial expression in recorded care sessions: video in, emotion timelines and reports out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
weights_app = typer.Typer(
    help="The classifier's weights: list, import, convert, verify.", no_args_is_help=True
)
app.add_typer(weights_app, name="weights", rich_help_panel=CLASSIFIER)
study_app = typer.Typer(help="A study's list of sessions: make it, check it.", no_args_is_help=True)
app.add_typer(study_app, name="study", rich_help_panel=SESSIONS)
audit_app = typer.Typer(help="What was done in a folder, when and by whom.", no_args_is_help=True)
app.add_typer(audit_app, name="audit", rich_help_panel=PRIVACY)
data_app = typer.Typer(help="Labelled faces for training and evaluation.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel=CLASSIFIER)


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
    """The options that stand before a command."""
