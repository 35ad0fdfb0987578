"""The commands `info`, `demo`, `notebooks`, `bench` and `doctor`."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.app import MACHINE, SESSIONS, app
from pipeline.commands.console import (
    needing_extra,
    own_requirement,
    print_table,
    progress_bar,
    refuse_given,
    say,
)
from pipeline.commands.networks import make_networks
from pipeline.commands.options import (
    DEFAULT_MODEL,
    BatchSize,
    Device,
    Directory,
    KeyFile,
    MinFace,
    Model,
    SampleFps,
)
from pipeline.commands.work import tell_outcomes, work_in
from pipeline.store.counts import number_of

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    from pipeline.video.container import VideoInfo


@app.command(rich_help_panel=MACHINE)
def info(video: Annotated[Path, typer.Argument(help="A video.", metavar="VIDEO")]) -> None:
    """Show what a video's container declares: picture size, length, frame rate, codec.

    Example: emonext info P012_S01.mp4
    """
    from pipeline.video.container import probe

    found = probe(video)
    frames = number_of(len(found.time_s), "frame")
    notes = list(map(str, found.notes))
    if found.damaged and not any(note.code == "lost" for note in found.notes):
        notes.append("some pictures are damaged or can't be decoded")
    rows = {
        "picture": _describe_picture(found),
        "length": f"{found.duration_s:.2f} s, {frames}, {found.frame_rate:.2f}/s",
        "time 0": f"start of the recording, as in players; the first picture is at {found.time_s[0]:.2f} s",
        "rate": _describe_rate(found),
        "codec": found.codec,
        "missing": _describe_missing(found),
        "other streams": ", ".join(found.others) or "none",
        "damage": _describe_damage(found),
        "notes": "; ".join(notes) or "none",
    }
    print_table(str(video), rows)


@app.command(rich_help_panel=MACHINE)
def demo(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Output folder; default: demo, or demo-study with --study.")
    ] = None,
    study: Annotated[
        bool, typer.Option("--study", help="Simulate a study: 12 patients, 8 sessions each, no video.")
    ] = False,
    patients: Annotated[
        int | None,
        typer.Option(help="Patients of the simulated study; 250 have 2,000 sessions.", min=1, max=999),
    ] = None,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
) -> None:
    """Make and process a sample session (36 s), or simulate the results of a whole study.

    Example: emonext demo, or emonext demo --study
    """
    out = out or Path("demo-study" if study else "demo")
    if study:
        refuse_given(context, "the sample session, not with --study", "model", "device")
        _demo_study(out, patients)
        return
    refuse_given(context, "--study", "patients")
    with needing_extra("demo"):
        from pipeline.checks.demo_video import make_demo_video
    from pipeline.processing.batch import process_sessions
    from pipeline.processing.jobs import in_this_process
    from pipeline.processing.session import Session, Settings
    from pipeline.store.files import make_private_folder
    from reports import write_reports

    networks = make_networks(model, device)
    make_private_folder(out)
    sample = Session("DEMO", "S01", out / "DEMO_S01.mp4")
    with progress_bar("Sample video") as update:
        make_demo_video(sample.video, update)
    with progress_bar("Processing") as update:
        outcomes = process_sessions(
            [sample],
            out,
            Settings(),
            in_this_process(networks),
            networks.weights["sha256"],
            overwrite=True,
            on_session=lambda job, done, total: update(done, total, ""),
        )
    if outcomes[0].state == "failed":
        tell_outcomes([sample], outcomes, out)
    index = write_reports(out)
    say(f"Video:    {sample.video}")
    say(f"Timeline: {sample.timeline_path(out)}")
    say(f"Report:   {index}")


def _demo_study(out: Path, patients: int | None) -> None:
    """Simulate a study whose true effects are known."""
    from pipeline.checks.demo_study import make_study, prepare_output
    from pipeline.store.lock import folder_lock
    from reports import write_reports

    prepare_output(out)
    with folder_lock(out):
        with progress_bar("Sample study") as update:
            make_study(out, update, patients=patients)
        with progress_bar("Reports") as update:
            index = write_reports(out, update)
    say(f"Truth:   {out / 'truth'}")
    say(f"Report:  {index}")


@app.command(rich_help_panel=SESSIONS)
def notebooks(
    directory: Directory,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only copy the notebooks: do not start JupyterLab.")
    ] = False,
    key: KeyFile = None,
) -> None:
    """Copy the notebooks to DIR/notebooks, with the study's folder filled in, and open them in JupyterLab.

    A notebook that is there already stays as it is; to get the original again, rename or delete yours.
    Saved outputs show your patients: `purge` searches them, and names notebooks that mention the patient.

    Example: emonext notebooks study
    """
    from pipeline.exchange.notebooks import copy_notebooks

    with work_in(directory, "notebooks", key):
        copied = copy_notebooks(directory)
    new = f" ({len(copied.written)} new)" if copied.written else ""
    say(f"Notebooks: {copied.folder}{new}")
    for path in copied.changed:
        say(f"{path}: kept as it is, and differs from the original; rename or delete it to get the original.")
    if no_open:
        say(f"Open them where you like, or with: {sys.executable} -m jupyterlab {quote(str(copied.folder))}")
        return
    with needing_extra("notebooks"):
        import_module("jupyterlab")
    say("Stop JupyterLab with Ctrl-C.")
    raise typer.Exit(_run_to_its_end([sys.executable, "-m", "jupyterlab", str(copied.folder.resolve())]))


def _run_to_its_end(command: list[str]) -> int:
    """Run a program with the key in use; JupyterLab itself asks what Ctrl-C shall mean."""
    from pipeline.store.encryption import key_file, use_key

    use_key(key_file())  # an absolute path: notebooks have another working folder
    with subprocess.Popen(command) as process:  # noqa: S603  # the program itself, and a folder
        while True:
            with suppress(KeyboardInterrupt):
                return process.wait()


@app.command(rich_help_panel=MACHINE)
def bench(
    video: Annotated[Path, typer.Argument(help="A video.", metavar="VIDEO")],
    fps: SampleFps = 5.0,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    batch_size: BatchSize = 16,
    min_face: MinFace = 40,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Compare with facenet-pytorch's detector, run on every sample.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the results (PNG, SVG, PDF).")] = None,
) -> None:
    """Measure the processing time of a video on this machine, stage by stage.

    Example: emonext bench P012_S01.mp4 --baseline --json bench.json --picture bench.png
    """
    from pipeline.checks.benchmark import measure
    from pipeline.checks.facenet_baseline import compare
    from pipeline.processing.session import Settings

    if picture:
        with needing_extra("train"):
            from pipeline.checks.benchmark_figure import draw_benchmark

    settings, networks = Settings(fps, min_face, batch_size), make_networks(model, device, min_face)
    with progress_bar("Measuring") as update:
        costs = measure(video, settings, networks, update)
    result = costs.to_dict()
    if baseline:
        from emonext import Classifier

        in_float32 = Classifier(model, device, bf16=False)
        with progress_bar("Baseline") as update:
            compared = compare(costs, settings, networks, in_float32.read, update)
        result |= compared.to_dict()
    _tell_costs(result)
    if json_file:
        json_file.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if picture:
        draw_benchmark(costs, picture)


@app.command(rich_help_panel=MACHINE)
def doctor() -> None:
    """Show this machine's device, decoders, packages, weights and optional parts.

    Example: emonext doctor
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    import av
    import torch

    from emonext.device import choose_device, has_bf16
    from emonext.weight_files import SHIPPED, find_weights, verify_weights

    def installed(name: str) -> str:
        with suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
        return f"no {name}"

    packages = ("emonext-care", "torch", "timm", "facenet-pytorch", "polars", "plotly")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; the CPU is used"
    threads = f"{torch.get_num_threads()} threads used, {torch.backends.cpu.get_cpu_capability()}"
    rows = {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "processor": f"{os.cpu_count()} cores, {threads}",
        "GPU": gpu,
        "precision": "bf16" if has_bf16(choose_device()) else "float32: this processor has no bf16",
        "decoders": f"{installed('decord')}, {installed('av')} (FFmpeg {av.ffmpeg_version_info})",
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "weights": ", ".join(f"{name} ({verify_weights(find_weights(name))[:12]}…)" for name in SHIPPED),
    }
    print_table("this machine", rows)
    parts = {
        extra: f"{use}: " + ("installed" if find_spec(module) else f"pip install {own_requirement(extra)}")
        for extra, (module, use) in OPTIONAL.items()
    }
    print_table("optional parts", parts)


OPTIONAL = {
    "identity": ("dlib", "the patient recognised by photos, and sessions compared"),
    "agreement": ("pympi", "comparison with human raters; ELAN files"),
    "ray": ("ray", "several machines"),
    "demo": ("skimage", "the sample session"),
    "notebooks": ("jupyterlab", "the notebooks"),
    "train": ("sklearn", "training and evaluation"),
}
"""Extra → a module that it installs, and its purpose."""


def _tell_costs(found: dict[str, Any]) -> None:
    """Print the results of a benchmark, with or without the baseline."""
    rows = {"decoding alone": f"{found['decode_fps']:.0f} frames/s"}
    for stage, cost in found["stages"].items():
        speed = f", {cost['samples_per_s']:.0f} samples/s" if stage != "waiting" else " for decoding"
        rows[stage] = f"{cost['share']:.0%} of the time{speed}"
    rows["end to end"] = (
        f"{found['end_to_end_fps']:.0f} frames/s, {found['real_time_factor']:.1f} times real time; "
        f"{found['ratio_to_decode']:.2f} times as long as decoding alone"
    )
    rows["peak memory"] = f"{found['peak_rss_mb']:.0f} MB"
    if found["peak_gpu_mb"] is not None:
        rows["peak memory of the GPU"] = f"{found['peak_gpu_mb']:.0f} MB ({found['device']})"
    if "ratio_to_baseline" in found:
        rows["baseline"] = f"{found['ratio_to_baseline']:.1f} times as long"
    if found.get("baseline_faces"):
        rows["baseline faces"] = (
            f"{found['face_recall']:.2%} of {found['baseline_faces']} found, mean IoU {found['mean_iou']:.3f}"
        )
    if found.get("emotion_agreement") is not None:
        rows["baseline emotions"] = f"{found['emotion_agreement']:.2%} the same, where the baseline is sure"
    title = f"{found['video_s']:.1f} s of {found['width']} × {found['height']} px: " + ", ".join(
        number_of(found[f"{one}s"], one) for one in ("frame", "sample", "face")
    )
    print_table(title, rows)


def _describe_picture(found: "VideoInfo") -> str:
    turned, mirrored = found.orientation.degrees, ", mirrored" if found.orientation.mirrored else ""
    return f"{found.width} × {found.height} px upright, turned by {turned}°{mirrored}"


def _describe_damage(found: "VideoInfo") -> str:
    if found.damaged:
        return "found"
    if found.all_decoded:
        return "none: all pictures were decoded"
    return f"not known: only {found.decoded} of {number_of(len(found.time_s), 'picture')} were decoded"


def _describe_missing(found: "VideoInfo") -> str:
    missing = [f"{found.missing_s:.1f} s shorter than the file declares"] if found.missing_s else []
    missing += [f"{found.without_picture_s:.1f} s without a picture"] if found.without_picture_s else []
    return ", ".join(missing) or "nothing"


def _describe_rate(found: "VideoInfo") -> str:
    if len(found.time_s) < 2:
        return "one frame"
    steps_ms = (found.time_s[1:] - found.time_s[:-1]) * 1000
    kind = "constant" if found.constant_rate else "variable"
    return f"{kind}, {steps_ms.min():.1f}–{steps_ms.max():.1f} ms between frames"
