"""Numbers with the noun that they count, for texts that are in English only."""


def number_of(number: int, one: str, many: str = "") -> str:
    """``1 session``, ``1,200 sessions``.

    :param many: the plural, where it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
