"""Which device runs the network."""

import torch

from emonext.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` takes a GPU where there is one.

    :raises DeviceError: ``cuda`` was asked for and there is none, or the name is unknown.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"--device {name}: unknown; use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: no usable GPU on this machine; use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
