"""EmoNeXt, the classifier: face crops → seven probabilities. It knows nothing of videos or patients."""

from emonext.checkpoint import Card, load_model, load_weights
from emonext.classifier import Classifier
from emonext.errors import DataError, DeviceError, EmoNeXtError, WeightsError
from emonext.model import ARCHITECTURES, LABELS, Architecture, EmoNeXt
from emonext.preprocessing import Preprocessing

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
