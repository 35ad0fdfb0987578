"""The errors of this package.

    EmoNeXtError
    ├── WeightsError     weights that are missing, damaged, tampered with, or of another model
    ├── DataError        a data set that is missing or in an unknown format
    └── DeviceError      a device that is not available

Every message names the file and says what to do.
"""


class EmoNeXtError(Exception):
    """Base class of the errors that this package raises."""


class WeightsError(EmoNeXtError):
    """Weights are missing, damaged, tampered with, or belong to another model."""


class DataError(EmoNeXtError):
    """A data set is missing or in an unknown format."""


class DeviceError(EmoNeXtError):
    """The requested device is not available."""
