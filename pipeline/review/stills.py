"""Where the people of a session sit: one still picture, and a part of the picture for each of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.records import FrameFaces, Ids, OnProgress, Person, Region, Seat, Still
from pipeline.review.people import read_session, small_jpeg, videos_of
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import timeline_path
from pipeline.store.status import read_outcomes
from pipeline.video.recording import Recording, open_recording

# A region holds the face's centre in this middle part of the person's samples (%), and a face around.
_USUAL = (5, 95)

# Another person whose face is in the region in more samples than this share of the person's own is named.
_OFTEN = 0.05


def find_stills(
    out: Path, people: Sequence[Person], on_session: OnProgress = lambda done, total: None
) -> dict[Ids, Still]:
    """Session → one picture and where its people sit; without sessions whose video is not where it was.

    :param people: from :func:`pipeline.review.people.find_people`.
    :raises TimelineError: a file can't be read.
    """
    before = read_outcomes(out)
    by_session: dict[Ids, dict[int, int]] = defaultdict(dict)
    for person in people:
        if not person.tracks:
            continue
        by_session[person.patient_id, person.session_id] |= dict.fromkeys(person.tracks, person.number)
    stills: dict[Ids, Still] = {}
    for done, (ids, person_of) in enumerate(by_session.items(), start=1):
        with malformed_as_timeline_error(timeline_path(out, *ids)):
            _, samples = read_session(out, ids)
        videos = videos_of(before.get(ids))
        with suppress(VideoError):  # the page says that there is no picture
            if videos:
                stills[ids] = _still(samples, person_of, open_recording(videos))
        on_session(done, len(by_session))
    return stills


def _still(samples: Sequence[FrameFaces], person_of: Mapping[int, int], recording: Recording) -> Still:
    chosen = max(samples, key=lambda sample: len({person_of.get(face.track or 0) for face in sample.faces}))
    picture = recording.picture_at(chosen.frame)
    size = np.array([recording.width, recording.height])
    return Still(
        None if picture is None else small_jpeg(picture),
        chosen.time_s,
        seats_of(_boxes(samples, person_of, size)),
    )


def _boxes(
    samples: Iterable[FrameFaces], person_of: Mapping[int, int], size: NDArray[np.int64]
) -> dict[int, NDArray[np.float64]]:
    """Person → (n, 4) boxes as shares of the picture."""
    found: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for sample in samples:
        for face in sample.faces:
            if face.track is not None and face.track in person_of:
                found[person_of[face.track]].append(face.box_xyxy)
    return {person: np.array(boxes, np.float64) / np.tile(size, 2) for person, boxes in found.items()}


def seats_of(boxes: Mapping[int, NDArray[np.float64]]) -> dict[int, Seat]:
    """
    :param boxes: person → (n, 4) as shares of the picture.
    """
    centres = {person: (own[:, :2] + own[:, 2:]) / 2 for person, own in boxes.items()}
    seats = {}
    for person, own in boxes.items():
        region = _region(centres[person], own)
        inside = Counter({other: int(_within(place, region).sum()) for other, place in centres.items()})
        others = tuple(o for o, count in sorted(inside.items()) if o != person and count > _OFTEN * len(own))
        seats[person] = Seat(region, inside[person] / len(own), others)
    return seats


def _region(centres: NDArray[np.float64], boxes: NDArray[np.float64]) -> Region:
    """Rounded outwards to whole per cents; at least one per cent wide and high."""
    low, high = np.percentile(centres, _USUAL, axis=0)
    face = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    first = np.clip(np.floor(100 * (low - face)), 0, 99)
    last = np.clip(np.ceil(100 * (high + face)), first + 1, 100)
    x1, y1, x2, y2 = (float(edge) / 100 for edge in (*first, *last))
    return x1, y1, x2, y2


def _within(centres: NDArray[np.float64], region: Region) -> NDArray[np.bool_]:
    """(n,) as :func:`pipeline.identity.recognition.in_region` counts."""
    inside: NDArray[np.bool_] = np.all((centres >= region[:2]) & (centres <= region[2:]), axis=1)
    return inside
