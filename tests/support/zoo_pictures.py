"""Drawn pictures with a number, and functions to read the number."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Matrix = tuple[int, int, int, int]
"""a b c d of a display matrix: the stored point (x, y) is shown at (a·x + c·y, b·x + d·y)."""

SIZE = (192, 108)
_COLUMNS, _ROWS = 6, 3
_DARK, _LIGHT = 40, 210
_CORNERS = {0: True, 5: False, 12: False, 17: False}
_FREE = [cell for cell in range(_COLUMNS * _ROWS) if cell not in _CORNERS]
UPRIGHT: Matrix = (1, 0, 0, 1)

MATRICES: tuple[Matrix, ...] = (
    UPRIGHT,
    *((-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)),
    *((0, 1, -1, 0), (0, -1, 1, 0), (0, 1, 1, 0), (0, -1, -1, 0)),
)


def draw(number: int, size: tuple[int, int] = SIZE) -> Picture:
    """Large dark and light cells: the corners tell which way is up, the others hold the number and a check.

    :param number: 0…255. ``size``: width and height, px.
    """
    bits = {cell: bool(_code(number) >> place & 1) for place, cell in enumerate(_FREE)} | _CORNERS
    levels = np.array([_LIGHT if bits[cell] else _DARK for cell in range(_COLUMNS * _ROWS)], np.uint8)
    across = np.arange(size[0]) * _COLUMNS // size[0]
    down = np.arange(size[1]) * _ROWS // size[1]
    plane = levels.reshape(_ROWS, _COLUMNS)[down][:, across]
    return np.repeat(plane[..., None], 3, axis=2)


def read(picture: Picture) -> int | None:
    """The inverse of :func:`draw`; none where a picture is smeared, turned or mirrored."""
    levels = np.array(
        [
            cell[cell.shape[0] // 4 : -cell.shape[0] // 4, cell.shape[1] // 4 : -cell.shape[1] // 4].mean()
            for row in np.array_split(picture, _ROWS)
            for cell in np.array_split(row, _COLUMNS, axis=1)
        ]
    )
    if np.any(np.abs(levels - (_DARK + _LIGHT) / 2) < (_LIGHT - _DARK) / 4):
        return None
    bits = levels > (_DARK + _LIGHT) / 2
    code = sum(1 << place for place, cell in enumerate(_FREE) if bits[cell])
    upright = all(bits[cell] == light for cell, light in _CORNERS.items())
    return code & 255 if upright and code == _code(code & 255) else None


def _code(number: int) -> int:
    """Ten bits and more: a number, and a check that a wrong cell breaks."""
    return number | (number * 11 + 5) % 61 << 8


def fitted(picture: Picture, size: tuple[int, int]) -> Picture | None:
    """The part of a picture in which one of another shape lies, its proportions kept; else none.

    :param size: width and height, px, of the one that lies in it.
    """
    height, width = picture.shape[:2]
    scale = min(width / size[0], height / size[1])
    left, top = round((width - scale * size[0]) / 2), round((height - scale * size[1]) / 2)
    outside = picture.copy()
    outside[max(0, top - 2) : height - top + 2, max(0, left - 2) : width - left + 2] = 0
    return picture[top : height - top, left : width - left] if outside.max() < _DARK / 2 else None


def turned(upright: Picture, matrix: Matrix) -> Picture:
    """As it must be stored so that the matrix shows it upright."""
    height, width = upright.shape[:2]
    x, y = _shown_at((height, width) if matrix[0] else (width, height), matrix)
    return np.ascontiguousarray(upright[y, x])


def shown(stored: Picture, matrix: Matrix) -> Picture:
    """As the matrix shows what is stored: the inverse of :func:`turned`."""
    x, y = _shown_at(stored.shape[:2], matrix)
    picture = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    picture[y, x] = stored
    return picture


def _shown_at(shape: tuple[int, ...], matrix: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y, x = np.indices(shape)
    a, b, c, d = matrix
    across, down = a * x + c * y, b * x + d * y
    return across - across.min(), down - down.min()
