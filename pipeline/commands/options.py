"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[str, typer.Option(help="Name of weights, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SampleFps = Annotated[float, typer.Option("--fps", help="Samples per second of video.")]
MinFace = Annotated[int, typer.Option(help="Smallest face to detect, px.")]
BatchSize = Annotated[int, typer.Option(help="Faces per batch of the classifier.", min=1)]
LabelMap = Annotated[
    str | None,
    typer.Option(help="Classes: affectnet, rafdb, ckplus, fer2013, or 0=angry,1=sad,7=- (- omits a class)."),
]
Votes = Annotated[Path | None, typer.Option(help="fer2013new.csv of FER+, for FER2013's CSV.")]
Jobs = Annotated[int | None, typer.Option(help="Sessions at once; default: from cores and memory.", min=1)]
EngineName = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="This machine, or a Ray cluster.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="Head of the cluster, such as 10.0.0.5:6379, or auto; default: this machine alone."),
]
PatientTrack = Annotated[
    str, typer.Option(help="Track of the patient: longest, largest, or a track's number.")
]
Identity = Annotated[
    str, typer.Option(help="Face embedder: dlib, or FILE:SHA256 of facenet-pytorch's InceptionResnetV1.")
]


def _check_results(context: typer.Context, directory: Path) -> Path:
    """Refuse a folder without results, with the same message in every command."""
    from pipeline.store.folders import check_results

    return directory if context.resilient_parsing else check_results(directory)


Directory = Annotated[
    Path, typer.Argument(help="The --out folder of `process`.", metavar="DIR", callback=_check_results)
]
Adapt = Annotated[
    str | None,
    typer.Option(
        help="adaptation.json of `adapt`, also of another study, to copy into the results, without "
        "patients' own offsets; none: remove it.",
        metavar="FILE",
    ),
]
KeyFile = Annotated[Path | None, typer.Option("--key", help="Key file, if the results are encrypted.")]
_LOCALE = Path(__file__).parents[2] / "reports" / "locale"
LANGUAGES = " or ".join(["en", *sorted(folder.name for folder in _LOCALE.iterdir())])
"""As :func:`reports.words.language.languages`, which takes a second to import."""

Lang = Annotated[
    str | None, typer.Option(help=f"Language of the page: {LANGUAGES}; default: as in the last reports.")
]
DEFAULT_MODEL = "atto"
