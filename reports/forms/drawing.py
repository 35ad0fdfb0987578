"""Pages on which a person chooses or draws: pictures, proposals, and what their scripts need."""

from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image

from pipeline.records import Region, Seat, Still
from reports.render import data_uri

_SMALLEST_PX = 160

DRAWING_FILES = ("choices.js", "seat.js")
"""Scripts of a page with pictures to draw on; they come before the page's own."""


def picture(still: Still, alt: str) -> dict[str, Any] | None:
    if still.jpeg is None:
        return None
    with Image.open(BytesIO(still.jpeg)) as opened:
        width, height = opened.size
    return {"uri": data_uri(still.jpeg), "alt": alt, "width": width, "height": height}


def smaller(still: Still, limit: int) -> Still:
    """The still with a picture that takes at most about so many bytes of a page, or a very small one."""
    jpeg, width = still.jpeg, 480
    while jpeg is not None and len(data_uri(jpeg)) > limit and width > _SMALLEST_PX:
        width = max(_SMALLEST_PX, round(0.8 * width))
        with Image.open(BytesIO(jpeg)) as opened, BytesIO() as file:
            opened.thumbnail((width, width))
            opened.save(file, "JPEG", quality=75)
            jpeg = file.getvalue()
    return replace(still, jpeg=jpeg)


def proposal(number: int, seat: Seat, name: str, share: str, others: str) -> dict[str, Any]:
    """A button that takes a seat, and two sentences beside it.

    :param number: of the person or the place.
    """
    x1, y1, x2, _ = seat.region
    return {
        "number": number,
        "name": name,
        "region": region_text(seat.region),
        "left": f"{50 * (x1 + x2):.1f}",
        "top": f"{100 * y1:.1f}",
        "share": share,
        "others": others,
    }


def region_text(region: Region) -> str:
    """As ``patient_region`` of a list: ``0,10,55.5,100``, in % of the picture."""
    return ",".join(f"{100 * edge:.1f}".removesuffix(".0") for edge in region)
