"""Draw a seat on a page, as a reader does."""

from typing import Any


def drag(page: Any, still: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse over a picture.

    :param start, end: shares of the picture's width and height.
    """
    still.scroll_into_view_if_needed()
    box = still.bounding_box()
    for (x, y), then in ((start, page.mouse.down), (end, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        then()


def edges(region: str) -> list[float]:
    return [float(edge) for edge in region.split(",")]
