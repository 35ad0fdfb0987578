"""What the tests of this room share."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from command_line import DONE, ENGINE, Emonext, Ended
from skimage.data import astronaut
from videos import encode, with_faces

import cli


@pytest.fixture
def emonext(emonext_with_workers: Emonext, monkeypatch: pytest.MonkeyPatch) -> Emonext:
    """Runs the command in this process, and its sessions too."""
    monkeypatch.setattr(*ENGINE)
    return emonext_with_workers


@pytest.fixture
def emonext_with_workers(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Emonext:
    """Runs the command in this process; also what C libraries write is caught."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["emonext", *map(str, arguments)])
        code: object = DONE
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or DONE
        out, err = capfd.readouterr()
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run


@pytest.fixture
def model(small_weights: Path) -> list[str]:
    """Options that take the small network, on the CPU."""
    return ["--model", str(small_weights), "--device", "cpu"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a face that the detector finds, and that moves."""
    portrait = astronaut()[:256, 96:352]
    pictures = [np.roll(portrait, 2 * step, axis=1) for step in range(10)]
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures, rate=10)


@pytest.fixture
def video(clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(clip, tmp_path / "P1_S1.mp4"))


@pytest.fixture
def without_face(tmp_path: Path) -> Path:
    """A black second."""
    return encode(tmp_path / "P1_S1.mp4", [with_faces([])] * 10, rate=10)


@pytest.fixture(scope="session")
def processed(clip: Path, tmp_path_factory: pytest.TempPathFactory, small_weights: Path) -> Path:
    """The folder of two patients."""
    folder = tmp_path_factory.mktemp("processed")
    videos = [Path(shutil.copy(clip, folder / f"P{n}_S1.mp4")) for n in (1, 2)]
    with videos[1].open("ab") as file:
        file.write(b"\0\0\0\x08free")  # a recording of its own
    command = ["process", *videos, "--out", folder / "out", "--model", small_weights, "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(*ENGINE)
        patch.setattr(sys, "argv", ["emonext", *map(str, command)])
        cli.main()
    assert len([*(folder / "out").glob("timelines/*/*.parquet")]) == len(videos)
    return folder / "out"


@pytest.fixture
def two(processed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(processed, tmp_path / "out")
