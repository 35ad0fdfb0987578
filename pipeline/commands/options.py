"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[str, typer.Option(help="Weights by name, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SampleFps = Annotated[float, typer.Option("--fps", help="Samples per second of video.")]
MinFace = Annotated[int, typer.Option(help="Smallest face looked for, px.")]
BatchSize = Annotated[int, typer.Option(help="Faces classified together.", min=1)]
LabelMap = Annotated[
    str | None,
    typer.Option(help="Classes: affectnet, rafdb, ckplus, fer2013, or like 0=angry,1=sad,7=- (left out)."),
]
Votes = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, beside FER2013's CSV.")]
Jobs = Annotated[int | None, typer.Option(help="Sessions at once; else as cores and memory allow.", min=1)]
EngineName = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="This machine, or a Ray cluster of several.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="The cluster's head, such as 10.0.0.5:6379, or auto; else a new one of this machine."),
]
PatientTrack = Annotated[
    str, typer.Option(help="Who the patient is: longest (seen longest), largest, or a track's number.")
]
Identity = Annotated[
    str, typer.Option(help="Compares faces: dlib, or FILE:SHA256 of facenet-pytorch's InceptionResnetV1.")
]


def _check_results(context: typer.Context, directory: Path) -> Path:
    """Every command that reads results refuses a folder without any, in the same words."""
    from pipeline.store.folders import check_results

    return directory if context.resilient_parsing else check_results(directory)


Directory = Annotated[
    Path, typer.Argument(help="The --out folder of `process`.", metavar="DIR", callback=_check_results)
]
KeyFile = Annotated[Path | None, typer.Option("--key", help="The key, where results are encrypted.")]
DEFAULT_MODEL = "atto"
