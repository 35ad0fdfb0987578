"""Training and evaluation from a checkout, with only the packages of a training machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

HIDE = '''
import importlib.machinery
import importlib.metadata
import sys

HIDDEN = {hidden}


class Hide(importlib.machinery.PathFinder):
    """As if these packages were not installed."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in HIDDEN else super().find_spec(name, path, target)


sys.meta_path[:] = [Hide if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
known = importlib.metadata.distribution


def distribution(name):
    if name == "emonext-care":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)


importlib.metadata.distribution = distribution
'''

HIDDEN = {
    *("av", "babel", "cryptography", "decord", "dlib", "face_recognition_models", "facenet_pytorch"),
    *("krippendorff", "openpyxl", "pandas", "pingouin", "plotly", "polars", "psutil", "pyarrow", "pympi"),
    *("ray", "skimage", "statsmodels", "xlsxwriter"),
}
"""What the program needs beside torch, torchvision, timm, numpy, pillow, safetensors, scikit-learn,
matplotlib, typer and rich, and what these bring: scipy comes with scikit-learn, jinja2 with torch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark pictures in a folder for each class."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for name, grey in (("happy", 200), ("sad", 50)):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                picture = np.clip(rng.normal(grey, 10, (48, 48)), 0, 255).astype(np.uint8)
                Image.fromarray(picture).save(folder / split / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the packages are hidden."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(HIDE.format(hidden=HIDDEN), "utf-8")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def emonext(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "cli.py", *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=250
    )


@pytest.mark.training
def test_a_network_is_trained_and_evaluated(bare: dict[str, str], data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("--image-size", 32, "--batch-size", 8, "--epochs", 2, "--device", "cpu")
    trained = emonext(bare, "train", data, "--out", run, *small)
    assert (trained.returncode, trained.stderr) == (0, "")
    settings = json.loads((run / "settings.json").read_text("utf-8"))
    assert settings["made_with"]["emonext-care"] == "not installed"
    assert len((run / "log.csv").read_text("utf-8").splitlines()) == 3
    files = [f"--{name}={tmp_path / name}" for name in ("json", "card", "pictures")]
    evaluated = emonext(bare, "evaluate", run / "weights.safetensors", data, *files, "--device", "cpu")
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    assert "8 faces" in evaluated.stdout
    assert json.loads((tmp_path / "json").read_text("utf-8"))["count"] == 8
    assert (tmp_path / "card").read_text("utf-8").startswith("# Model card: atto")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "nowhere", "--out", "run"), "nowhere: not found"),
        (("weights", "verify", "nothing"), "nothing: no such weights"),
    ],
)
def test_an_error_is_one_line(
    bare: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    paths = {"nowhere": str(tmp_path / "nowhere"), "run": str(tmp_path / "run")}
    ended = emonext(bare, *(paths.get(argument, argument) for argument in arguments))
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: ")
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_needs_more_says_so_before_it_measures(bare: dict[str, str], data: Path) -> None:
    ended = emonext(bare, "evaluate", "atto", data, "--html=page.html")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"pip install --editable '{ROOT}[train]'" in ended.stderr


def test_the_packages_are_hidden(bare: dict[str, str]) -> None:
    program = f"""
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
assert not any(map(find_spec, {HIDDEN}))
try:
    version("emonext-care")
except PackageNotFoundError:
    print("hidden")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], env=bare, capture_output=True, encoding="utf-8", check=True
    )
    assert ended.stdout == "hidden\n"
