"""Three clips for a rater's page, and the table that the page saves."""

import io

import av
import numpy as np

from pipeline.agreement.rated_clips import RATED_COLUMNS, Clip

CLIPS = [
    Clip("dfeed", number, "P1", "S1", "calm", 4.0 * number, 4.0 * number + 4, "happy", 0.9, 2.5, ("anna",))
    for number in (1, 2, 3)
]


def _film(shade: int) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(10):
            picture = np.full((48, 64, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return written.getvalue()


FILMS = {clip.key: _film(60 * clip.clip) for clip in CLIPS}


def saved_table(rater: str, codes: dict[int, str]) -> str:
    """As a page saves it, without strength and flags."""
    lines = [",".join(RATED_COLUMNS)]
    for clip in CLIPS:
        if clip.clip in codes:
            cells = {
                "draw": clip.draw,
                "clip": str(clip.clip),
                "rater": rater,
                "patient_id": clip.patient_id,
                "session_id": clip.session_id,
                "start_s": f"{clip.start_s:g}",
                "end_s": f"{clip.end_s:g}",
                "code": codes[clip.clip],
                "saved_at": "2026-05-01T10:00:00",
            }
            lines.append(",".join(cells.get(name, "") for name in RATED_COLUMNS))
    return "\r\n".join([*lines, ""])
