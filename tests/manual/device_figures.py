"""Speed, memory and agreement with the CPU of a GPU, on clips of your own.

Run: python tests/manual/device_figures.py CLIP:FPS [CLIP:FPS …] --out FILE.json

``FPS`` is the sampling rate; 1000 takes every frame. Run it with ``--device cpu`` to rehearse. For each clip,
``end_to_end_fps`` counts all frames of the file, and ``stages`` says how long the detector waited for
pictures, so what limits the speed. No GPU has run it so far.
"""

# ruff: noqa: T201

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emonext.device import choose_device
from pipeline.checks.benchmark import Costs, measure
from pipeline.checks.facenet_baseline import paired
from pipeline.commands.networks import make_networks
from pipeline.faces.classification import probabilities_of
from pipeline.processing.session import Settings


def run(clip: Path, sample_fps: float, model: str, device: str) -> Costs:
    """The second of two runs: the first one compiles and allocates."""
    networks, settings = make_networks(model, device), Settings(sample_fps)
    measure(clip, settings, networks)
    return measure(clip, settings, networks)


def agreement(one: Costs, other: Costs) -> dict[str, Any]:
    """Of two runs on the same samples: faces that both find, and the likeliest emotion of these."""
    pairs = paired(one.found, other.found)
    both = [(first, second) for first, second, _ in pairs if second is not None]
    read = [np.array([probabilities_of(face) for face in faces]) for faces in both]
    return {
        "faces": len(pairs),
        "found_too": len(both) / max(1, len(pairs)),
        "same_emotion": float(np.mean([a.argmax() == b.argmax() for a, b in read])) if read else None,
        "largest_difference": max((float(np.abs(a - b).max()) for a, b in read), default=None),
    }


def figures(clips: Sequence[tuple[Path, float]], model: str, device: str) -> Iterator[dict[str, Any]]:
    """The figures of each clip, on the device and on the CPU."""
    for clip, sample_fps in clips:
        on_cpu, on_device = (run(clip, sample_fps, model, name) for name in ("cpu", device))
        yield {
            "clip": clip.name,
            "sample_fps": sample_fps,
            **on_device.to_dict(),
            "times_as_fast_as_cpu": on_cpu.end_to_end_s / on_device.end_to_end_s,
            "agreement": agreement(on_cpu, on_device),
        }


def clip_and_rate(text: str) -> tuple[Path, float]:
    """``clip.mp4:5`` → path and samples per second."""
    path, _, rate = text.rpartition(":")
    return Path(path), float(rate)


def main() -> None:
    """Print the figures of each clip; write all of them at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=clip_and_rate, metavar="CLIP:FPS")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="atto")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {choose_device(chosen.device)}")
    found = []
    for one in figures(chosen.clips, chosen.model, chosen.device):
        print(json.dumps(one), flush=True)
        found.append(one)
    chosen.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
