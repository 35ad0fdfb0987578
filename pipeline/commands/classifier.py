"""The commands `train`, `evaluate`, `data` and `weights`."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from pipeline.commands.app import CLASSIFIER, app, data_app, weights_app
from pipeline.commands.console import needing_extra, out_console, progress_bar, say, show_table
from pipeline.commands.networks import recut_with_pipeline
from pipeline.commands.options import LANGUAGES, Device, LabelMap, Votes
from pipeline.store.counts import number_of

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from emonext.results import Evaluation, Reading


@app.command(rich_help_panel=CLASSIFIER)
def train(
    data: Annotated[
        Path, typer.Argument(help="FER2013, or another data set; see `data import`.", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run continues.")],
    further: Annotated[
        Path | None, typer.Option(help="A second data set, such as older faces; a share of each batch.")
    ] = None,
    further_share: Annotated[
        float | None, typer.Option(help="Share of each batch from --further, 0 to 1.")
    ] = None,
    preset: Annotated[str, typer.Option(help="best or paper; other options override its values.")] = "best",
    size: Annotated[str | None, typer.Option(help="Architecture: atto … nano, tiny … xlarge.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Width and height of the input, px.")] = None,
    init: Annotated[
        str | None, typer.Option(help="Initial weights: none, imagenet, a name or a file.")
    ] = None,
    init_share: Annotated[
        float | None, typer.Option(help="Share of the initial weights in the saved ones, 0 to 1.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the data; 0 only fits temperatures and the head for covered faces.", min=0
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Choose the number of epochs to fit this time, min.", min=0)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Faces per training step.", min=2)] = None,
    optimizer: Annotated[str | None, typer.Option(help="muon or adamw.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random numbers.")] = None,
    no_votes: Annotated[bool, typer.Option("--no-votes", help="Train on the labels only.")] = False,
    no_transformer: Annotated[bool, typer.Option("--no-stn", help="Omit the spatial transformer.")] = False,
    no_excitation: Annotated[bool, typer.Option("--no-se", help="Omit squeeze-and-excitation.")] = False,
    no_attention: Annotated[bool, typer.Option("--no-attention", help="Omit the attention loss.")] = False,
    max_minutes: Annotated[float, typer.Option(help="Stop after the last epoch that fits, min.")] = float(
        "inf"
    ),
    device: Device = "auto",
) -> None:
    """Train EmoNeXt. Run the same command again to continue a stopped run.

    Example: emonext train fer2013/ --out runs/atto --max-minutes 120
    """
    from emonext.datasets.data import reading

    with reading(data):
        data.stat()  # before torch is imported
    with needing_extra("train"):
        from emonext.device import choose_device
        from emonext.training.recipe import choose_settings
        from emonext.training.run import make_run

    changes = {
        "size": size,
        "image_size": image_size,
        "init": init,
        "init_share": init_share,
        "epochs": epochs,
        "minutes": minutes,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": lr,
        "seed": seed,
        "further_share": further_share,
        "votes": False if no_votes else None,
        "spatial_transformer": False if no_transformer else None,
        "squeeze_excitation": False if no_excitation else None,
        "attention_weight": 0.0 if no_attention else None,
    }
    settings = choose_settings(preset, {name: value for name, value in changes.items() if value is not None})
    run = make_run(out, settings, data, choose_device(device), further)
    with progress_bar("Training") as update:
        log = run.train(lambda done, total, loss: update(done, total, f"loss {loss:.3f}"), max_minutes)
    if len(log) < run.epochs:
        out_console.print(f"{len(log)} of {run.epochs} epochs; run the same command to continue.")
        return
    path, found = run.finish()
    _print_evaluation(str(path), found)


@app.command(rich_help_panel=CLASSIFIER)
def evaluate(
    weights: Annotated[str, typer.Argument(help="Name of weights, or a file.", metavar="WEIGHTS")],
    data: Annotated[
        Path, typer.Argument(help="FER2013, or another data set; see `data import`.", metavar="DATA")
    ],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    labels: LabelMap = None,
    votes: Votes = None,
    by: Annotated[str | None, typer.Option(help="Also evaluate each value of this column.")] = None,
    as_used: Annotated[
        bool, typer.Option("--as-used", help="Also evaluate on faces detected in a video.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also evaluate on degraded images.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the results as an HTML page.")] = None,
    lang: Annotated[str, typer.Option(help=f"Language of the page: {LANGUAGES}.")] = "en",
    card: Annotated[Path | None, typer.Option(help="Write the model card to this file (.md).")] = None,
    further: Annotated[
        Path | None, typer.Option(help="A second data set, such as older faces, for the model card.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Write the figures (PNG) to this folder.")] = None,
    device: Device = "auto",
) -> None:
    """Measure the accuracy and calibration of weights on a labelled data set.

    Example: emonext evaluate atto fer2013/ --as-used --robustness --html atto.html
    """
    from emonext.weight_files import find_weights

    find_weights(weights)  # before torch is imported
    with needing_extra("train"):
        from emonext.device import choose_device
        from emonext.evaluation import evaluate as measure
        from emonext.figures import draw_evaluation

        if html:
            from reports.pages.evaluation import write_evaluation_page
            from reports.words.language import language

            spoken = language(lang)
        if card:
            from emonext.model_card import model_card
        if as_used:
            import pipeline.checks.video_crops
            import pipeline.faces.mtcnn  # noqa: F401  # fail before an evaluation of minutes
    from emonext.checkpoint import load_weights
    from emonext.datasets.forms import check_split, load_faces
    from emonext.datasets.label_maps import parse_label_map

    loaded = load_weights(weights)
    label_map = None if labels is None else parse_label_map(labels)
    faces = load_faces(data, check_split(split), label_map=label_map, votes=votes)
    with progress_bar("Evaluating") as update:
        found = measure(
            loaded,
            faces,
            choose_device(device),
            update,
            by=by,
            recut=recut_with_pipeline(loaded.card, device) if as_used else None,
            robustness=robustness,
        )
    _print_evaluation(weights, found)
    others = {}
    if further:
        more = load_faces(further, check_split(split), label_map=label_map, votes=votes)
        others[further.stem] = measure(
            loaded, more, choose_device(device), by="age" if "age" in more.groups else None
        )
        _print_evaluation(f"{weights}, {further.stem}", others[further.stem])
    if json_file:
        json_file.write_text(json.dumps(found.to_dict(), indent=2) + "\n", "utf-8")
    if html:
        write_evaluation_page(found.to_dict(), html, spoken)
    drawn = draw_evaluation(found, pictures) if pictures else []
    if card:
        described = f"{data.stem}, {split} split, {number_of(len(faces), 'face')}"
        card.write_text(model_card(loaded, found, described, drawn, others), encoding="utf-8")


@data_app.command("import")
def data_import(
    source: Annotated[Path, typer.Argument(help="Folder or CSV.", metavar="SOURCE")],
    out: Annotated[Path, typer.Option(help="File to write (.npz).")],
    labels: LabelMap = None,
    votes: Votes = None,
    size: Annotated[int, typer.Option(help="Width and height of the stored faces, px.", min=16)] = 48,
) -> None:
    """Convert a set of labelled faces to one file for `train` and `evaluate`.

    Formats: FER2013 (fer2013.csv, icml_face_data.csv), class folders, AffectNet, RAF-DB, CK+, or your own
    frames: a CSV with the columns image and label, and optional columns such as split and age_group.

    Example: emonext data import frames.csv --out frames.npz
    """
    from emonext.datasets.forms import import_faces
    from emonext.datasets.label_maps import parse_label_map
    from emonext.model import LABELS

    label_map = None if labels is None else parse_label_map(labels)
    with progress_bar("Importing") as update:
        counts = import_faces(
            source,
            out,
            label_map=label_map,
            votes=votes,
            size=size,
            on_progress=update,
        )
    others = [name for name in ("no label", "left out") if any(name in found for found in counts.values())]
    table = Table("split", "faces", *LABELS, *others)
    for split, by_class in counts.items():
        kept = sum(count for name, count in by_class.items() if name != "left out")
        table.add_row(split, str(kept), *(str(by_class.get(name, 0)) for name in (*LABELS, *others)))
    say(str(out))
    show_table(table)


# Characters on the data of weights, where a table's rows are not folded.
_MAX_DATA = 100


@weights_app.command("list")
def weights_list() -> None:
    """List the weights that come with the program and the imported weights.

    Example: emonext weights list
    """
    from emonext.checkpoint import read_card
    from emonext.weight_files import SHIPPED, find_weights, imported_weights

    table = Table("name", "input", "FER2013", "FER+ majority", "data", "licence")
    for name in [*SHIPPED, *imported_weights()]:
        card = read_card(find_weights(name))
        accuracy = [card.metrics.get(f"{kind}_accuracy") for kind in ("labels_labels", "votes_majority")]
        table.add_row(
            name,
            f"{card.preprocessing.size} px",
            *("" if share is None else f"{share:.1%}" for share in accuracy),
            card.data if out_console.is_terminal else shorten(card.data, _MAX_DATA, placeholder=" …"),
            card.licence,
        )
    show_table(table)


@weights_app.command("import")
def weights_import(
    file: Annotated[Path, typer.Argument(help="Weights of this program (.safetensors).", metavar="FILE")],
    name: Annotated[str, typer.Option(help="Name of the weights, for `--model NAME`.")],
) -> None:
    """Check weights and store them under a name.

    Example: emonext weights import runs/tiny/weights.safetensors --name tiny
    """
    from emonext.checkpoint import import_weights

    say(f"{name}: {import_weights(file, name)}")


@weights_app.command("convert")
def weights_convert(
    old: Annotated[Path, typer.Argument(help="Checkpoint of the published code (.pt).", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="File to write (.safetensors).", metavar="NEW")],
    labels: Annotated[
        str, typer.Option(help="Classes of the checkpoint, in the order of its logits.")
    ] = "angry,disgust,fear,happy,neutral,sad,surprise",
) -> None:
    """Convert a checkpoint of the published EmoNeXt code to weights of this program.

    Example: emonext weights convert best.pt mine.safetensors
    """
    from emonext.published import convert_published

    card = convert_published(old, new, tuple(labels.split(",")))
    shape = card.architecture
    say(f"{new}: depths {shape.depths}, widths {shape.dims}, {shape.image_size} px.")


@weights_app.command("verify")
def weights_verify(
    weights: Annotated[str, typer.Argument(help="Name of weights, or a file.", metavar="WEIGHTS")],
) -> None:
    """Check weights against their sha256 and their model card.

    Example: emonext weights verify atto
    """
    from emonext.weight_files import find_weights

    find_weights(weights)  # before torch is imported
    from emonext.checkpoint import load_weights

    say(f"{weights}: intact, sha256 {load_weights(weights).sha256}.")


def _print_evaluation(weights: str, found: "Evaluation") -> None:
    say(f"{weights} on {number_of(found.count, 'face')}, {found.faces_per_s:.0f} per second")
    heads = {"labels": "FER2013's labels", "votes": "people's votes"}
    columns = [
        f"{heads[r.head]} →\n{'labels' if r.truth == 'labels' else 'majority'}" for r in found.readings
    ]
    table = Table("head → compared with", *columns, box=SIMPLE)
    rows: dict[str, Callable[[Reading], str]] = {
        "faces": lambda r: str(r.count),
        "accuracy, one crop": lambda r: f"{r.accuracy.value:.2%}",
        "… 95 % interval": lambda r: f"{r.accuracy.low:.1%}–{r.accuracy.high:.1%}",
        "… without duplicates in training": lambda r: f"{r.accuracy_unseen:.2%}",
        "accuracy, face and mirror image": lambda r: f"{r.accuracy_mirrored.value:.2%}",
        "accuracy, ten crops": lambda r: f"{r.accuracy_ten_crops:.2%}",
        "macro F1": lambda r: f"{r.macro_f1.value:.3f}",
        "calibration error, raw": lambda r: f"{r.ece_raw:.3f}",
        "… with temperature": lambda r: f"{r.ece:.3f} at {r.temperature:.2f}",
        "… by cross-fitting": lambda r: f"{r.ece_cross_fitted:.3f}",
        "log loss": lambda r: f"{r.log_loss:.3f}",
    }
    for name, show in rows.items():
        table.add_row(name, *map(show, found.readings))
    for label in found.readings[0].recall:
        table.add_row(f"recall, {label}", *(f"{r.recall[label]:.0%}" for r in found.readings))
    show_table(table)
    say(f"Same class in bf16 as in float32: {found.bf16_agreement:.2%}")
    for used in found.as_used:
        say(
            f"From a video ({heads[used.head]} → {used.truth}): {used.found:.1%} of the faces detected, "
            f"accuracy {used.accuracy:.2%}; with the benchmark's crops {used.benchmark:.2%}, "
            f"a difference of {100 * (used.benchmark - used.accuracy):.1f} percentage points"
        )
    for group in found.groups:
        share = group.accuracy
        interval = f"{share.low:.1%}–{share.high:.1%}"
        faces = number_of(group.count, "face")
        say(f"{group.name}: {faces}, {share.value:.1%} ({interval}), calibration error {group.ece:.3f}")
    for poor in found.robustness:
        steps = zip(poor.levels, poor.accuracy, strict=True)
        say(f"{poor.name} ({poor.unit}): " + ", ".join(f"{level:g} → {share:.1%}" for level, share in steps))
    if found.covers:
        say(
            f"Covers drawn over a third or more that change the answer: {found.covers.flagged:.0%} of "
            f"{number_of(found.covers.changed, 'face')} are found covered "
            f"(of the faces as they are, {found.covers.false_flags:.1%})"
        )
