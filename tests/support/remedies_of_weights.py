"""Carry out the advice of messages about weights, labelled faces and training."""

import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from remedies import Ended, Kit, Steps, remedy

from emonext.model import LABELS
from pipeline import weight_files
from pipeline.faces.mesh import StateReader


def frames(kit: Kit, head: str = "image,label,split,group", names: tuple[str, ...] = LABELS) -> Path:
    """A CSV of 28 labelled faces, half of them for training."""
    rng = np.random.default_rng(0)
    lines = [head]
    for number in range(28):
        path = kit.folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(path)
        lines.append(f"{path.name},{names[number % 7]},{'train' if number < 14 else 'val'},old")
    return kit.table("frames.csv", *lines)


def judge(kit: Kit, data: object, *options: object) -> Ended:
    return kit.run("evaluate", kit.weights, data, "--device", "cpu", *options)


def take(kit: Kit, data: object, *options: object, out: str = "frames.npz") -> Ended:
    return kit.run("data", "import", data, "--out", kit.folder / out, *options)


# --- weights


@remedy(": no such weights. Give a .safetensors file or a name: {}.")
def weights_that_are_not_there(kit: Kit) -> Steps:
    said = kit.run("weights", "verify", "nobody")
    yield said
    yield kit.run("weights", "verify", kit.weights)
    yield kit.run("weights", "verify", re.search(r"a name: ([a-z]+)", said.text)[1])


def own_weights(kit: Kit) -> Path:
    path = kit.folder / "mine.safetensors"
    for suffix in ("", ".sha256"):
        shutil.copy(kit.weights.with_name(kit.weights.name + suffix), path.with_name(path.name + suffix))
    return path


@remedy(": its sha256 is {}…, not {}…: damaged or changed; fetch it again.")
def damaged_weights(kit: Kit) -> Steps:
    path = own_weights(kit)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    yield kit.run("weights", "verify", path)
    path.write_bytes(whole)
    yield kit.run("weights", "verify", path)


@remedy("{}: missing, damaged or changed; install the program again.")
def damaged_networks_of_others(kit: Kit) -> Steps:
    folder = shutil.copytree(weight_files.FOLDER, kit.folder / "weights")
    path = folder / "eye_contour.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    kit.patch.setattr(weight_files, "FOLDER", folder)
    yield kit.call(StateReader)
    path.write_bytes(whole)
    yield kit.call(StateReader)


@remedy(": holds no sha256; delete it, or fetch it again.")
def a_sha256_that_is_none(kit: Kit) -> Steps:
    path = own_weights(kit)
    beside = path.with_name(path.name + ".sha256")
    whole = beside.read_bytes()
    beside.write_text("")
    yield kit.run("weights", "verify", path)
    beside.unlink()
    yield kit.run("weights", "verify", path)
    beside.write_bytes(whole)
    yield kit.run("weights", "verify", path)


@remedy(": its tensors do not match its card; fetch it again.")
def weights_of_another_network(kit: Kit) -> Steps:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = kit.folder / "mine.safetensors"
    with safe_open(kit.weights, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name][:1].clone()}, path, metadata)
    yield kit.run("weights", "verify", path)
    shutil.copy(kit.weights, path)
    yield kit.run("weights", "verify", path)


def import_as(kit: Kit, name: str) -> Ended:
    kit.patch.setenv("XDG_DATA_HOME", str(kit.folder))
    return kit.run("weights", "import", kit.weights, "--name", name)


@remedy("--name {}: use letters, digits, '.', '_' and '-', 64 at most.")
def a_name_that_is_none(kit: Kit) -> Steps:
    yield import_as(kit, "my weights")
    yield import_as(kit, "my.weights_2-a")


@remedy("--name {}: the name of weights that come with the program; give another.")
def a_name_of_the_program_s_own(kit: Kit) -> Steps:
    yield import_as(kit, "atto")
    yield import_as(kit, "mine")


@remedy("--name {}: taken by {}; give another, or delete that file first.")
def a_name_that_is_taken(kit: Kit) -> Steps:
    assert import_as(kit, "mine").code == 0
    said = import_as(kit, "mine")
    yield said
    yield import_as(kit, "other")
    Path(re.search(r"taken by (.+?);", said.text)[1]).unlink()
    yield import_as(kit, "mine")


# --- labelled faces


@remedy(": not found. Check the path, or fetch the data again.")
def data_that_are_not_there(kit: Kit) -> Steps:
    path = frames(kit)
    yield take(kit, path.with_name("frmes.csv"))
    yield take(kit, path)


@remedy("--split {}: no such split; the splits are {}.")
def a_split_that_is_none(kit: Kit) -> Steps:
    path = frames(kit)
    yield judge(kit, path, "--split", "all")
    yield judge(kit, path, "--split", "val")


@remedy("--by {}: no such column; the data has {}.")
def a_column_that_is_not_there(kit: Kit) -> Steps:
    path = frames(kit)
    yield judge(kit, path, "--by", "age")
    yield judge(kit, path, "--by", "group")


@remedy(": name it .npz; the suffix identifies the format.")
def a_file_of_faces_by_another_name(kit: Kit) -> Steps:
    path = frames(kit)
    yield take(kit, path, out="faces.dat")
    yield take(kit, path, out="faces.npz")


@remedy(": already imported; use the file itself.")
def faces_that_are_imported(kit: Kit) -> Steps:
    take(kit, frames(kit))
    yield take(kit, kit.folder / "frames.npz", out="again.npz")
    yield judge(kit, kit.folder / "frames.npz")


@remedy(": it has its own labels and votes; give it without --labels and --votes.")
def imported_faces_with_labels(kit: Kit) -> Steps:
    take(kit, frames(kit))
    yield judge(kit, kit.folder / "frames.npz", "--labels", "ckplus")
    yield judge(kit, kit.folder / "frames.npz")


@remedy("written by another program or version; import it again")
def faces_of_another_version(kit: Kit) -> Steps:
    path = frames(kit)
    np.savez(kit.folder / "frames.npz", format="emonext faces 0")
    yield judge(kit, kit.folder / "frames.npz")
    assert take(kit, path).code == 0
    yield judge(kit, kit.folder / "frames.npz")


@remedy("more than 8 bits a pixel; save it with 8")
def a_picture_of_16_bits(kit: Kit) -> Steps:
    path = frames(kit)
    Image.fromarray(np.full((48, 48), 3000, np.uint16)).save(kit.folder / "3.png")
    yield take(kit, path)
    Image.fromarray(np.full((48, 48), 30, np.uint8)).save(kit.folder / "3.png")
    yield take(kit, path)


@remedy(": no label. Fill it in, or remove the line.")
def a_face_without_a_label(kit: Kit) -> Steps:
    path = frames(kit)
    lines = path.read_text("utf-8").splitlines()
    image, _, *more = lines[3].split(",")
    kit.table("frames.csv", *lines[:3], ",".join([image, "", *more]), *lines[4:])
    yield take(kit, path)
    kit.table("frames.csv", *lines)
    yield take(kit, path)
    kit.table("frames.csv", *lines[:3], *lines[4:])
    yield take(kit, path)


@remedy(": the label map (--labels) omits all its faces.")
def a_map_that_leaves_all_out(kit: Kit) -> Steps:
    path = frames(kit)
    yield take(kit, path, "--labels", ",".join(f"{name}=-" for name in LABELS))
    yield take(kit, path, "--labels", f"{LABELS[0]}=-")


@remedy(
    ": class {} is not known. Map every number of the data, and names like this "
    "one, by --labels of `evaluate` or `data import`: {}=happy (or {}), {}={} to leave it out; "
    "or take a map of {}."
)
def a_class_that_is_not_known(kit: Kit) -> Steps:
    path = frames(kit, names=("wistful", *LABELS[1:]))
    said = take(kit, path)
    yield said
    yield take(kit, path, "--labels", re.search(r"`data import`: (wistful=happy)", said.text)[1])
    yield take(kit, path, "--labels", re.search(r"(wistful=\S+) to leave it out", said.text)[1])
    yield judge(kit, path, "--labels", "wistful=angry")


for text, bad, good in (
    (
        "--labels: {}={}: no such label; map to {}, or {} to leave it out.",
        "angry=cross",
        "angry=sad",
    ),
    ("--labels: {} is not like 0=angry; or give one of {}.", "angry", "angry=sad"),
    (
        ": --labels names {}, which the data does not have; its classes are {}.",
        "joy=happy",
        "happy=happy",
    ),
    ("--labels: {} is mapped twice.", "angry=sad,angry=happy", "angry=sad"),
):

    def wrong_labels(kit: Kit, bad: str = bad, good: str = good) -> Steps:
        path = frames(kit)
        yield take(kit, path, "--labels", bad)
        yield take(kit, path, "--labels", good)

    wrong_labels.__name__ = f"--labels {bad}"
    remedy(text)(wrong_labels)


@remedy(
    ": no table of faces. Its first line must name emotion, pixels, Usage (FER2013, "
    "CK+) or image, label (your own frames).",
)
def a_table_without_faces(kit: Kit) -> Steps:
    path = frames(kit, head="picture,class,split,group")
    yield take(kit, path)
    yield take(kit, frames(kit))


# --- training


def train(kit: Kit, *options: object, out: str = "run") -> Ended:
    """One epoch of the smallest network."""
    small = ("--image-size", 32, "--epochs", 1, "--batch-size", 7, "--no-attention", "--device", "cpu")
    data = kit.folder / "frames.csv"
    if not data.exists():
        frames(kit)
    kit.patch.setattr("emonext.training.run.Run.train", lambda run, on_batch, minutes: run.log)
    return kit.run("train", data, "--out", kit.folder / out, *small, *options)


for text, bad, *good in (
    (
        "--preset {}: unknown; use {}.",
        ("--preset", "worst"),
        ("--preset", "best"),
        ("--preset", "paper", "--init", "none"),
    ),
    (
        "--size {}, --optimizer {}: unknown; a size is {}, an optimizer muon or adamw.",
        ("--size", "giant"),
        ("--size", "atto"),
        ("--optimizer", "adamw"),
    ),
    ("--image-size {}: give {} px or more.", ("--image-size", 8), ("--image-size", 32)),
    ("--lr {}: give a positive number.", ("--lr", 0), ("--lr", 0.001)),
    ("--init-share {}: give a number from 0 to 1.", ("--init-share", 2), ("--init-share", 0.5)),
    ("--further-share {}: give a number from 0 to 1.", ("--further-share", 2), ("--further-share", 0.5)),
    (
        "--batch-size {}: the {} training faces do not fill a batch; give a smaller one, or more faces.",
        ("--batch-size", 500),
        ("--batch-size", 7),
    ),
    (
        "--init imagenet: {} is not in timm's cache and can't be fetched; give its file, or none.",
        ("--init", "imagenet"),
        ("--init", "none"),
    ),
):

    def wrong_option(kit: Kit, bad: tuple[object, ...] = bad, good: list[tuple[object, ...]] = good) -> Steps:
        kit.patch.setenv("HF_HUB_OFFLINE", "1")
        kit.patch.setattr("timm.create_model", refuse)
        yield train(kit, *bad)
        for number, options in enumerate(good):
            yield train(kit, *options, out=f"run{number}")

    wrong_option.__name__ = f"train {bad[0]} {bad[1]}"
    remedy(text)(wrong_option)


def refuse(*arguments: object, **options: object) -> None:
    raise OSError("no network")


@remedy("--init {}: of another architecture ({} does not fit); give its --size.")
def a_start_of_another_size(kit: Kit) -> Steps:
    yield train(kit, "--init", "atto", "--size", "nano")
    yield train(kit, "--init", "atto", "--size", "atto", out="other")


@remedy(": holds a run with other settings; name another folder.")
def a_run_with_other_settings(kit: Kit) -> Steps:
    import torch

    (kit.folder / "run").mkdir()
    state = {"settings": {}, "model": {}, "average": {}, "optimizer": {}, "log": []}
    torch.save(state, kit.folder / "run/checkpoint.pt")
    yield train(kit)
    yield train(kit, out="other")


@remedy(": not a checkpoint of this program; name another folder.")
def a_run_that_is_none(kit: Kit) -> Steps:
    import torch

    (kit.folder / "run").mkdir()
    torch.save({"weights": 1}, kit.folder / "run/checkpoint.pt")
    yield train(kit)
    yield train(kit, out="other")


@remedy(": {}; {}, then run again.", "give another path, or correct the cause")
def a_path_that_can_t_be_written(kit: Kit) -> Steps:
    path = frames(kit)
    yield judge(kit, path, "--json", kit.folder)
    yield judge(kit, path, "--json", kit.folder / "found.json")


@remedy(": its first line must name {} once; it is {}.")
def a_folder_s_list_without_a_column(kit: Kit) -> Steps:
    path = frames(kit)
    lines = path.read_text("utf-8").splitlines()
    kit.table("frames.csv", f"{lines[0]},group", *(f"{line},old" for line in lines[1:]))
    yield take(kit, path)
    kit.table("frames.csv", *lines)
    yield take(kit, path)
