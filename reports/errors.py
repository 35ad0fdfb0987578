"""The errors of this package.

    ReportError    a folder without a timeline, a timeline that is not where its ids say, a damaged status

Reading and writing can also raise :class:`pipeline.errors.TimelineError` and
:class:`pipeline.errors.OutputError`. Every message names the file or folder and says what to do.
"""


class ReportError(Exception):
    """Base class of the errors that this package raises."""
