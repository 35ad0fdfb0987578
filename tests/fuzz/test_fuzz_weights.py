"""Hostile weights."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import EDITS, JSON, NASTY, Fuzz, contained, replaced
from hostile import Contained, Edit, edited, read_weights
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

pytestmark = pytest.mark.fuzz

# --- weights


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def _with_card(weights: Path, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with safe_open(weights, framework="pt") as file:
            card = json.loads(file.metadata()["emonext"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        changed = change(card)
        text = changed if isinstance(changed, str) else json.dumps(card)
        save_file(state, path, {"emonext": text})

    return write


def test_weights(fuzz: Fuzz, small_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, ran = small_weights.read_bytes(), tmp_path / "code_was_run"
    head = struct.unpack("<Q", good[:8])[0]
    path = tmp_path / "hostile.safetensors"
    with safe_open(small_weights, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    published = {f"stages.{stage}.0.gamma": torch.zeros(8) for stage in range(4)}
    published["fc_loc.0.weight"] = torch.zeros(32, 10)

    def torch_file(content: object) -> Callable[[Path], object]:
        return lambda path: torch.save(content, path)

    def architecture(**values: object) -> Callable[[Path], object]:
        return _with_card(small_weights, lambda card: card["architecture"].update(values))

    def card(**values: object) -> Callable[[Path], object]:
        return _with_card(small_weights, lambda card: card.update(values))

    nasty: list[tuple[str, Callable[[Path], object]]] = [
        (".safetensors", lambda path: path.write_bytes(good)),
        (".safetensors", lambda path: path.write_bytes(b"")),
        (".safetensors", lambda path: path.write_bytes(struct.pack("<Q", 2**63) + good[8:])),
        (".safetensors", lambda path: path.write_bytes(struct.pack("<Q", 10**8) + b"[" * 10**5)),
        (".safetensors", lambda path: path.write_bytes(pickle.dumps(_Evil(ran)))),
        (".safetensors", torch_file(_Evil(ran))),
        (".pt", lambda path: path.write_bytes(pickle.dumps(_Evil(ran)))),
        (".pt", torch_file(_Evil(ran))),
        (".pt", torch_file({"model": _Evil(ran)})),
        (".pt", torch_file({1: 2})),
        (".pt", torch_file(state)),
        (".pt", torch_file(published)),
        (".pt", torch_file(published | {"stages.1.0.gamma": torch.tensor(1.0)})),
        (".pt", torch_file(published | {"fc_loc.0.weight": torch.zeros(3)})),
        (
            ".pt",
            torch_file(published | {f"stages.{n}.0.gamma": torch.zeros(1).expand(40_000) for n in range(4)}),
        ),
        (".pt", torch_file({"stem.0.weight": torch.zeros(3), "a": torch.zeros(1).expand(10**12)})),
        (".pt", torch_file({"transformer.affine.0.weight": torch.zeros(())})),
        (".pt", torch_file({"transformer.affine.0.weight": torch.zeros(32, 7)})),
        (".pt", torch_file({1: torch.zeros(1), "a": torch.zeros(1)})),
        (".safetensors", _with_card(small_weights, lambda card: "[" * 10**5)),
        (".safetensors", _with_card(small_weights, lambda card: "[]")),
        (".safetensors", architecture(dims=[40_000] * 4)),
        (".safetensors", architecture(dims=[10**12] * 4)),
        (".safetensors", architecture(dims=[8.0] * 4)),
        (".safetensors", architecture(dims=["8"] * 4)),
        (".safetensors", architecture(dims=[-8] * 4)),
        (".safetensors", architecture(depths=[10**9] * 4)),
        (".safetensors", architecture(depths=[0] * 4)),
        (".safetensors", architecture(depths=[None] * 4)),
        (".safetensors", architecture(image_size=10**9)),
        (".safetensors", architecture(image_size=-5)),
        (".safetensors", architecture(image_size=None)),
        (".safetensors", card(labels=[1, "a", None])),
        (".safetensors", card(labels=5)),
        (".safetensors", card(labels=[["a", None]])),
        (".safetensors", card(labels=[["a"]] * 7)),
        (".safetensors", card(temperature="1")),
        (".safetensors", card(temperature=float("nan"))),
        (".safetensors", card(preprocessing={"size": "a", "resize": []})),
        (".safetensors", card(preprocessing=None)),
        (".safetensors", card(metrics=5, name=None)),
    ]
    for read in contained(read_weights, capsys):

        def check(made: tuple[str, Callable[[Path], object]], read: Contained = read) -> None:
            path = tmp_path / f"hostile{made[0]}"
            made[1](path)
            said = read(path)
            assert not said.startswith("signal"), said
            assert not ran.exists()

        def raw(edits: list[Edit]) -> tuple[str, Callable[[Path], object]]:
            return ".safetensors", lambda path: path.write_bytes(edited(good, edits))

        def in_card(place: int, value: Any) -> tuple[str, Callable[[Path], object]]:
            return ".safetensors", _with_card(
                small_weights, lambda card: json.dumps(replaced(card, place, value))
            )

        in_head = st.lists(st.tuples(st.just("set"), st.integers(0, head + 8), NASTY), min_size=1, max_size=3)
        values = st.builds(in_card, st.integers(0, 100), JSON)
        fuzz(check, st.one_of(EDITS.map(raw), in_head.map(raw), values), *nasty, few=5)
    assert not path.with_name("new.safetensors").exists()
