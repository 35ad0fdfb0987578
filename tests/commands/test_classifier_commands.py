"""commands: `weights`, `doctor`, `train`, `evaluate` and `data import`."""

import json
import os
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import BAD_INPUT, DONE, ROOT, Emonext, assert_nothing_half_written, assert_one_line_naming
from PIL import Image

from emonext import LABELS
from pipeline.commands.machine import OPTIONAL


def test_verified_weights_are_told_with_their_hash(emonext: Emonext, small_weights: Path) -> None:
    import hashlib

    ended = emonext("weights", "verify", small_weights)
    assert ended.code == DONE
    assert hashlib.sha256(small_weights.read_bytes()).hexdigest() in ended.out.replace("\n", "")


def test_the_list_of_weights_and_the_doctor_answer(emonext: Emonext) -> None:
    listed = emonext("weights", "list")
    assert listed.code == DONE
    assert max(map(len, listed.out.splitlines())) < 300, "no whole text on the data, which nothing folds"
    ended = emonext("doctor")
    assert ended.code == DONE
    assert torch.__version__ in ended.out.replace("\n", "") or "torch" in ended.out


def test_the_doctor_names_every_optional_part(emonext: Emonext, monkeypatch: pytest.MonkeyPatch) -> None:
    extras = set(metadata("emonext-care").get_all("Provides-Extra") or []) - {"dev"}
    assert set(OPTIONAL) == extras
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = emonext("doctor").out
    assert "several machines: pip install" in said
    assert said.count("pip install") == len(extras)


def test_the_version_and_the_short_help(emonext: Emonext) -> None:
    assert emonext("--version").out == f"emonext-care {version('emonext-care')}\n"
    assert emonext("process", "-h").out == emonext("process", "--help").out


@pytest.mark.parametrize("kind", ["missing", "text", "code"])
def test_a_checkpoint_that_can_t_be_converted_is_told(emonext: Emonext, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "old.pt"
    if kind == "text":
        path.write_text("not a checkpoint")
    if kind == "code":
        torch.save({"model": os.system}, path)
    ended = emonext("weights", "convert", path, tmp_path / "new.safetensors")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "old.pt")
    assert not list(tmp_path.glob("new*"))


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_are_not_there_are_told(
    emonext: Emonext, tmp_path: Path, small_weights: Path, command: str
) -> None:
    data = tmp_path / "no-data"
    arguments = [data, "--out", tmp_path / "run"] if command == "train" else [small_weights, data]
    ended = emonext(command, *arguments, "--device", "cpu")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "no-data")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A user's own labelled frames: a CSV with an age group, and the pictures beside it."""
    rng = np.random.default_rng(0)
    lines = ["image,label,split,age_group"]
    for number in range(42):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        split, group = "train" if number < 21 else "val", "old" if number % 2 else "young"
        lines.append(f"{number}.png,{LABELS[number % 7]},{split},{group}")
    (tmp_path / "frames.csv").write_text("\n".join(lines))
    return tmp_path / "frames.csv"


@pytest.mark.parametrize(
    "command",
    [
        ["train", "nowhere", "--out", "run"],
        ["evaluate", "nothing", "nowhere"],
        ["weights", "verify", "nothing"],
    ],
)
def test_a_wrong_path_is_told_before_torch_is_imported(command: tuple[str, ...], tmp_path: Path) -> None:
    program = f"""
import sys
import cli
sys.argv = {["emonext", *command]}
try:
    cli.main()
except SystemExit as ended:
    print(ended.code, "torch" in sys.modules)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert ended.stdout == "2 False\n"
    assert len(ended.stderr.splitlines()) == 1


def test_an_evaluation_is_told_and_written_in_every_form(
    emonext: Emonext, frames: Path, small_weights: Path, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"found.{name}" for name in ("json", "html", "card")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    ended = emonext(
        "evaluate", small_weights, frames, *options, "--pictures", tmp_path / "pictures", "--by", "age_group",
        "--robustness", "--device", "cpu",
    )  # fmt: skip
    assert (ended.code, ended.err) == (DONE, "")
    found = json.loads(files["json"].read_text())
    assert found["count"] == 21
    share = found["readings"][0]["accuracy"]["value"]
    assert f"{share:.2%}" in ended.out
    assert f"{100 * share:.2f} %" in files["card"].read_text()
    assert f"{100 * share:.1f}" in files["html"].read_text()
    assert [group["name"] for group in found["groups"]] == ["old", "young"]
    assert len(found["robustness"]) == 6
    assert all(path.stat().st_size > 5000 for path in (tmp_path / "pictures").glob("*.png"))


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Tiles with votes and ages."""
    folder = tmp_path / "older"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (112, 32 * 112), dtype=np.uint8)).save(folder / "older_faces.png")
    lines = ["tile,split,age," + ",".join(f"votes_{label}" for label in LABELS)]
    for tile in range(32):
        votes = ",".join("10" if k == tile % 7 else "0" for k in range(7))
        lines.append(f"{tile},{'train' if tile < 16 else 'val'},{60 + tile},{votes}")
    (folder / "older_votes.csv").write_text("\n".join(lines))
    return folder


def test_the_card_tells_of_a_further_set_by_age(
    emonext: Emonext, frames: Path, older: Path, small_weights: Path, tmp_path: Path
) -> None:
    card = tmp_path / "card.md"
    ended = emonext("evaluate", small_weights, frames, "--further", older, "--card", card, "--device", "cpu")
    assert (ended.code, ended.err) == (DONE, "")
    text = card.read_text()
    assert "## On older" in text
    assert [
        line.split(" | ")[:2] for line in text.splitlines() if line.startswith(("| 70–79", "| 80–89"))
    ] == [
        ["| 70–79", "4"],
        ["| 80–89", "10"],
    ]
    assert "80–89: 10 faces" in ended.out


def test_faces_are_evaluated_as_a_video_shows_them(
    emonext: Emonext, small_weights: Path, shared: Path, tmp_path: Path
) -> None:
    from emonext.datasets.data import load_fer2013

    faces = load_fer2013(shared / "data", "val")
    lines = ["image,label"]
    for number in range(12):
        Image.fromarray(faces.images[number]).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{LABELS[faces.labels[number]]}")
    (tmp_path / "few.csv").write_text("\n".join(lines))
    ended = emonext(
        "evaluate", small_weights, tmp_path / "few.csv", "--as-used", "--json", tmp_path / "f.json"
    )
    assert ended.code == DONE
    (used,) = json.loads((tmp_path / "f.json").read_text())["as_used"]
    assert 0.7 < used["found"] <= 1
    assert "From a video" in ended.out


@pytest.mark.training
def test_a_run_is_trained_and_goes_on(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    command = ["train", frames, "--out", tmp_path / "run", "--image-size", "32", "--epochs", "2"]
    command += ["--batch-size", "7", "--no-attention", "--device", "cpu"]
    first = emonext(*command, "--max-minutes", "0")
    assert (first.code, first.err) == (DONE, "")
    assert "1 of 2 epochs" in first.out
    assert emonext(*command).code == DONE
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["image_size"], settings["attention_weight"], settings["optimizer"]) == (32, 0, "muon")
    assert emonext("weights", "verify", tmp_path / "run" / "weights.safetensors").code == DONE


@pytest.mark.training
def test_a_run_is_trained_on_two_sets_in_no_time(
    emonext: Emonext, frames: Path, older: Path, tmp_path: Path
) -> None:
    command = ["train", frames, "--out", tmp_path / "run", "--image-size", "32", "--batch-size", "7"]
    command += ["--further", older, "--further-share", "0.3", "--minutes", "0", "--device", "cpu"]
    assert emonext(*command).code == DONE
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(log) == 3
    assert log[0].endswith(",further_accuracy")
    assert 0 <= float(log[1].split(",")[-1]) <= 1


@pytest.mark.parametrize("option", [["--preset", "worst"], ["--size", "giant"], ["--init", "nothing.pt"]])
def test_a_run_that_can_t_be_started_is_told(
    emonext: Emonext, frames: Path, tmp_path: Path, option: list[str]
) -> None:
    ended = emonext("train", frames, "--out", tmp_path / "run", "--batch-size", "7", *option)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, option[1])


def test_frames_are_imported_and_counted(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    ended = emonext("data", "import", frames, "--out", tmp_path / "frames.npz")
    assert (ended.code, ended.err) == (DONE, "")
    table = ended.out.partition("\n")[2]  # below the path, which may hold any number
    assert table.count("21") == 2
    assert_nothing_half_written(tmp_path)


def test_a_label_nobody_knows_is_told(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    frames.write_text(frames.read_text().replace("sad", "wistful"))
    ended = emonext("data", "import", frames, "--out", tmp_path / "frames.npz")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "wistful")
    assert not list(tmp_path.glob("*.npz*"))


def test_weights_get_a_name(
    emonext: Emonext, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert emonext("weights", "import", small_weights, "--name", "mine").code == DONE
    assert "mine" in emonext("weights", "list").out
    assert emonext("weights", "verify", "mine").code == DONE


@pytest.mark.parametrize("name", ["../mine", "atto", ""])
def test_a_name_that_is_none_is_refused(
    emonext: Emonext, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ended = emonext("weights", "import", small_weights, "--name", name)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"--name {name}")
    assert not list(tmp_path.rglob("*.safetensors"))
