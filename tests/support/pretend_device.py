"""A device that computes on the CPU and is as strict as a GPU: its tensors don't mix with the host's.

For PyTorch it is the device ``meta``, which needs no driver. Weights have to be loaded before, because
loading uses ``meta`` too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")

# Operators that move tensors between devices, or may take an index from the host.
_MAY_MIX = {"_to_copy", "copy_", "to", "index", "_has_compatible_shallow_copy_type"}

# Operators whose result has a size or a value that the host has to know.
_WAITED_FOR = {"_local_scalar_dense", "bincount", "equal", "item", "masked_select", "nms", "nonzero"}


class OnDevice(Tensor):
    """A tensor of the device."""

    on_host: Tensor

    @staticmethod
    def __new__(cls, on_host: Tensor) -> "OnDevice":
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls,
            on_host.size(),
            strides=on_host.stride(),
            storage_offset=on_host.storage_offset(),
            dtype=on_host.dtype,
            device=DEVICE,
        )
        made.on_host = on_host
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {}, Counter())

    def __getitem__(self, key: Any) -> Tensor:
        # PyTorch makes an index of a list on the tensor's own device, where it would be empty
        return super().__getitem__(_with_tensors(key))

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self) -> Any:
        raise TypeError("can't convert a tensor of a device to numpy; use Tensor.cpu() first")


class PretendDevice(TorchDispatchMode):
    """Within it, ``torch`` computes for :data:`DEVICE`; tensors of two devices are a RuntimeError.

    :param waits: operator → how often the host waited for its result.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self._make: Callable[..., Tensor] = torch.tensor

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {}, self.waits)

    def __enter__(self) -> "PretendDevice":
        # made for `meta` directly, it would be empty
        def tensor(values: Any, *, device: Any = None, **others: Any) -> Tensor:
            made = self._make(values, **others)
            return made if device is None else made.to(device)

        torch.tensor = tensor
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        torch.tensor = self._make
        super().__exit__(*error)


def _with_tensors(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_with_tensors(part) for part in key)
    return torch.tensor(key, device=DEVICE) if isinstance(key, list) else key


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], waits: Counter[str]) -> Any:
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    name = func.overloadpacket.__name__
    # a single number may stay on the host, as with a GPU
    strange = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim()]
    if ours and strange and name not in _MAY_MIX:
        raise RuntimeError(f"{name}: tensors of two devices")
    named = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
    stays = (
        named[0] == DEVICE if named else isinstance(args[-1 if name == "to" else 0], OnDevice) or bool(ours)
    )
    if ours and (not stays or name in _WAITED_FOR or (name.startswith("index") and _has_mask(args[1]))):
        waits[name] += 1
    result = func(*tree_map(_hosted, tuple(args)), **tree_map(_hosted, dict(kwargs)))
    if not stays:
        return result
    if func._schema.is_mutable:
        return args[0]
    return tree_map(lambda leaf: OnDevice(leaf) if isinstance(leaf, Tensor) else leaf, result)


def _has_mask(index: Any) -> bool:
    return any(isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(index))


def _hosted(leaf: Any) -> Any:
    if isinstance(leaf, OnDevice):
        return leaf.on_host
    return torch.device("cpu") if isinstance(leaf, torch.device) and leaf == DEVICE else leaf
