"""Format numbers with their noun, for English texts."""


def number_of(number: int, one: str, many: str = "") -> str:
    """``1 session``, ``1,200 sessions``.

    :param many: the plural, if it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
