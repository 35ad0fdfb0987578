"""What can go wrong in this package.

    EmoNeXtError
    ├── WeightsError     weights that are missing, damaged, tampered with, or of another model
    ├── DataError        a data set that is missing or not in a form this package reads
    └── DeviceError      a device that was asked for and is not there

Every message names the file and says what to do.
"""


class EmoNeXtError(Exception):
    """The base of every error this package raises on purpose."""


class WeightsError(EmoNeXtError):
    """Weights are missing, damaged, tampered with, or belong to another model."""


class DataError(EmoNeXtError):
    """A data set is missing or not in a form this package reads."""


class DeviceError(EmoNeXtError):
    """The device that was asked for is not there."""
