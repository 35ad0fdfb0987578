"""Format numbers with their noun, and moments of a video, for English texts."""


def number_of(number: int, one: str, many: str = "") -> str:
    """``1 session``, ``1,200 sessions``.

    :param many: the plural, if it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def clock(time_s: float, digits: int = 0) -> str:
    """A moment of a video, as a player shows it: ``0:42``, ``1:02:03``; with two digits, ``0:12.40``."""
    scale = 10**digits
    minutes, left = divmod(round(scale * time_s), 60 * scale)
    seconds = f"{left / scale:0{3 + digits if digits else 2}.{digits}f}"
    return f"{minutes // 60}:{minutes % 60:02}:{seconds}" if minutes >= 60 else f"{minutes}:{seconds}"


def percent(share: float) -> str:
    """Such as ``71 %``."""
    return f"{100 * share:.0f} %"
