"""Where faces are in a recording most of the time: proposals for the patient's seat, without tracks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.checks.snapshots import Snapshot
from pipeline.processing.session import QualityLimits
from pipeline.records import FrameFaces, Seat, SeenFace, Still
from pipeline.review.people import small_jpeg
from pipeline.review.stills import seats_of
from pipeline.video.container import VideoInfo
from pipeline.video.decoding import picture_at

# Faces whose centres are this near (face sizes) are at one place: somebody who sits leans and turns.
_ONE_PLACE = 1.5

# A place with a face in fewer pictures is somebody who passes; and more places than these confuse.
_OFTEN, _MOST_PLACES = 0.1, 3


def find_seats(looks: Sequence[Snapshot], info: VideoInfo) -> Still:
    """The picture with faces at the most places, and the places: 1 is that of most pictures.

    :param looks: at least one decoded picture. ``share`` of a seat: of the pictures, those with a face there.
    """
    seen = [look.sample for look in looks if look.sample.decoded]
    boxes = [face.box_xyxy for sample in seen for face in sample.faces]
    picture_of = np.repeat(np.arange(len(seen)), [len(sample.faces) for sample in seen])
    box_xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    place = _places(box_xyxy, picture_of, len(seen))
    shares = box_xyxy / (info.width, info.height, info.width, info.height)
    seats = {
        number: replace(seat, share=_share(seat, shares, picture_of, len(seen)))
        for number, seat in seats_of(
            {n: shares[place == n] for n in range(1, place.max(initial=0) + 1)}
        ).items()
    }
    kinds = [len({*place[picture_of == number].tolist()} - {0}) for number in range(len(seen))]
    chosen = seen[int(np.argmax(kinds)) if any(kinds) else len(seen) // 2]
    picture = picture_at(info, chosen.frame)
    jpeg = None if picture is None else small_jpeg(picture)
    return Still(jpeg, chosen.time_s, seats, _seen_faces(chosen, info))


def _seen_faces(sample: FrameFaces, info: VideoInfo) -> tuple[SeenFace, ...]:
    limits, found = QualityLimits(), []
    for face in sample.faces:
        x1, y1, x2, y2 = (float(edge) for edge in face.box_xyxy)
        box = x1 / info.width, y1 / info.height, x2 / info.width, y2 / info.height
        found.append(SeenFace(box, face.face_px, tuple(limits.faults(face))))
    return tuple(found)


def _places(box_xyxy: NDArray[np.float64], picture_of: NDArray[np.int64], pictures: int) -> NDArray[np.int64]:
    """(n,) number of each face's place, 1 for the place of most pictures; 0: none.

    :param box_xyxy: (n, 4) px. ``picture_of``: (n,).
    """
    centres = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    sides = np.sqrt(np.prod(box_xyxy[:, 2:] - box_xyxy[:, :2], axis=1))
    near = cdist(centres, centres) <= _ONE_PLACE * sides[:, None]
    place = np.zeros(len(box_xyxy), np.int64)
    for number in range(1, _MOST_PLACES + 1):
        left = near & (place == 0)
        counts = [len(np.unique(picture_of[row])) for row in left]
        if max(counts, default=0) < max(1.0, _OFTEN * pictures):
            break
        place[left[int(np.argmax(counts))]] = number
    return place


def _share(seat: Seat, shares: NDArray[np.float64], picture_of: NDArray[np.int64], pictures: int) -> float:
    centres = (shares[:, :2] + shares[:, 2:]) / 2
    inside = ((centres >= seat.region[:2]) & (centres <= seat.region[2:])).all(axis=1)
    return len(np.unique(picture_of[inside])) / pictures
