"""Choose the device that runs the network."""

import torch

from emonext.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """Choose a device; ``auto`` takes a GPU if there is one.

    :raises DeviceError: ``cuda`` without a usable GPU, or an unknown name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"`device` {name}: unknown; use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("`device` cuda: no usable GPU on this machine; use `device` cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16. Processors without it emulate it, at half the speed of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
