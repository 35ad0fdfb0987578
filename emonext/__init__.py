"""EmoNeXt, the classifier: face crops → seven probabilities. Independent of videos and patients."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emonext.checkpoint import Card, load_model, load_weights
    from emonext.classifier import Classifier
    from emonext.errors import DataError, DeviceError, EmoNeXtError, WeightsError
    from emonext.model import ARCHITECTURES, LABELS, Architecture, EmoNeXt
    from emonext.preprocessing import Preprocessing

_HOMES = {
    "checkpoint": ("Card", "load_model", "load_weights"),
    "classifier": ("Classifier",),
    "errors": ("DataError", "DeviceError", "EmoNeXtError", "WeightsError"),
    "model": ("ARCHITECTURES", "LABELS", "Architecture", "EmoNeXt"),
    "preprocessing": ("Preprocessing",),
}

__all__ = [
    "ARCHITECTURES",
    "LABELS",
    "Architecture",
    "Card",
    "Classifier",
    "DataError",
    "DeviceError",
    "EmoNeXt",
    "EmoNeXtError",
    "Preprocessing",
    "WeightsError",
    "load_model",
    "load_weights",
]


def __getattr__(name: str) -> Any:
    """Import a name on first access: torch takes seconds to import, and not every use needs it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"emonext.{home}"), name)
    raise AttributeError(f"module 'emonext' has no attribute {name!r}")
