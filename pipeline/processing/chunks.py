"""Store finished chunks of a session, so that an interrupted run loses only minutes."""

import io
import shutil
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import OutputError
from pipeline.faces.classification import probabilities_of
from pipeline.records import EMOTIONS, NO_PICTURE, Face, FaceState, FrameFaces
from pipeline.store.encryption import seal, unseal
from pipeline.store.files import atomic

STRETCH_S = 120.0

_NUMBERS = ("detection", "face_px", "sharpness", "brightness", "yaw", "pitch", "roll", "covered")


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples with scored but untracked faces, and the decoders in use."""

    samples: list[FrameFaces]
    decoders: list[str]


class Chunks:
    """The chunks of a session, in a separate folder; they contain numbers, no pictures.

    :param key: fingerprint of all that the chunks depend on; chunks with another key are ignored.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key

    def read(self, number: int) -> Chunk | None:
        """Read a chunk; ``None`` if it is missing, damaged, or has another key."""
        try:
            with np.load(io.BytesIO(unseal(self._path(number).read_bytes())), allow_pickle=False) as file:
                columns = dict(file)
        except (OSError, EOFError, KeyError, ValueError, BadZipFile):
            return None
        if str(columns["key"]) != self._key:
            return None
        return Chunk(_samples(columns), columns["decoders"].tolist())

    def write(self, number: int, stretch: Chunk) -> None:
        """:raises OutputError: the file can't be written."""
        columns = _columns(stretch.samples)
        columns |= {"key": np.array(self._key), "decoders": np.array(stretch.decoders, str)}
        file = io.BytesIO()
        np.savez(file, **columns)  # type: ignore[arg-type]  # its types take every name for allow_pickle
        try:
            with atomic(self._path(number)) as partial:
                partial.write_bytes(seal(file.getvalue()))
        except OutputError as error:
            # another process finished this session and removed the folder meanwhile
            if not isinstance(error.__cause__, FileNotFoundError):
                raise

    def remove(self) -> None:
        """Remove the chunks, and the patient's folder if it is empty."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for folder in (self._folder.parent, self._folder.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.npz"


def _columns(samples: Sequence[FrameFaces]) -> dict[str, NDArray[Any]]:
    faces = [face for sample in samples for face in sample.faces]
    empty = np.zeros((0, 4 + 10 + len(EMOTIONS)), np.float32)
    exact = [np.concatenate([f.box_xyxy, f.landmarks.ravel(), probabilities_of(f)]) for f in faces]
    return {
        "sample": np.array([s.sample for s in samples], np.int64),
        "frame": np.array([s.frame for s in samples], np.int64),
        "time_s": np.array([s.time_s for s in samples], np.float64),
        "decoded": np.array([s.decoded for s in samples], bool),
        "faces": np.array([len(s.faces) for s in samples], np.int64),
        "arrays": np.array(exact, np.float32) if exact else empty,
        "numbers": np.array([[getattr(f, name) for name in _NUMBERS] for f in faces], np.float64),
        "states": np.array([_state_numbers(f) for f in faces], np.float64),
    }


def _samples(columns: dict[str, NDArray[Any]]) -> list[FrameFaces]:
    ends = np.cumsum(columns["faces"])
    of_faces = (columns["arrays"], columns["numbers"].tolist(), columns["states"].tolist())
    faces = [_face(*row) for row in zip(*of_faces, strict=True)]
    names = ("sample", "frame", "time_s", "decoded")
    rows = zip(*(columns[name].tolist() for name in names), columns["faces"], ends, strict=True)
    return [
        FrameFaces(sample, frame, time_s, decoded, tuple(faces[end - count : end]))
        for sample, frame, time_s, decoded, count, end in rows
    ]


def _state_numbers(face: Face) -> tuple[float, ...]:
    return (nan, nan, nan) if face.state is None else astuple(face.state)


def _face(arrays: NDArray[np.float32], numbers: Sequence[float], state: Sequence[float]) -> Face:
    detection, face_px, sharpness, brightness, yaw, pitch, roll, covered = numbers
    return Face(
        box_xyxy=arrays[:4],
        detection=detection,
        landmarks=arrays[4:14].reshape(5, 2),
        crop=NO_PICTURE,
        face_px=face_px,
        sharpness=sharpness,
        brightness=brightness,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        covered=covered,
        state=None if isnan(state[0]) else FaceState(*state),
        probabilities=arrays[14:],
    )
