"""Baseline for speed and results: facenet-pytorch's detector on full-size samples, one at a time.

A comparison of speeds is valid only if the results agree, so the results are compared too.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_iou

from pipeline.checks.benchmark import Costs
from pipeline.faces.classification import ClassifyFaces, probabilities_of, score_emotions
from pipeline.faces.detection import Detections, find_faces
from pipeline.processing.session import Networks, Settings
from pipeline.records import Face, FrameFaces, OnProgress
from pipeline.video.decoding import SampledVideo

# Smaller faces are not compared, nor emotions with a lower baseline probability.
COMPARED_FACE_PX = 60
COMPARED_PROBABILITY = 0.5

_SAME_FACE_IOU = 0.5


class FacenetDetector:
    """facenet-pytorch's MTCNN with its defaults, one picture at a time.

    :param settings: arguments of MTCNN. By default, it detects faces from 20 px.
    """

    def __init__(self, device: torch.device | str = "cpu", **settings: object) -> None:
        self._mtcnn = MTCNN(keep_all=True, device=device, **settings)

    def __call__(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture, largest first."""
        return [_typed(*self._mtcnn.detect(image, landmarks=True)) for image in images]


@dataclass(frozen=True)
class Comparison:
    """Comparison of a run with the baseline on the same samples.

    :param baseline_s: end-to-end time of the baseline.
    :param ratio_to_baseline: time of the baseline ÷ time of the run.
    :param baseline_faces: faces of at least COMPARED_FACE_PX that the baseline found.
    :param face_recall: share of these faces that the run found too (IoU at least 0.5).
    :param mean_iou: mean IoU of these pairs.
    :param emotion_agreement: share of the pairs with the same likeliest emotion, if the baseline's
        probability of this emotion is at least COMPARED_PROBABILITY.
    """

    baseline_s: float
    ratio_to_baseline: float
    baseline_faces: int
    face_recall: float
    mean_iou: float
    emotion_agreement: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN (nothing to compare) becomes null."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def compare(
    costs: Costs,
    settings: Settings,
    networks: Networks,
    classify: ClassifyFaces,
    on_progress: OnProgress = lambda done, total: None,
) -> Comparison:
    """Run the baseline on the video: decode, detect, crop, classify, one face at a time.

    :param costs: of the run to compare with.
    :param classify: the run's classifier, in float32.
    """
    video = SampledVideo(costs.video, settings.sample_fps)
    faces = find_faces(video, FacenetDetector(networks.device), networks.crop_spec)
    theirs = []
    started = time.perf_counter()
    for sample in score_emotions(faces, classify, batch_size=1):
        theirs.append(sample)
        on_progress(len(theirs), len(video))
    seconds = time.perf_counter() - started
    pairs = paired(theirs, costs.found)
    found = [(face, ours, iou) for face, ours, iou in pairs if ours is not None]
    alike = [
        _emotion(face) == _emotion(ours) for face, ours, _ in found if _sureness(face) >= COMPARED_PROBABILITY
    ]
    return Comparison(
        baseline_s=seconds,
        ratio_to_baseline=seconds / costs.end_to_end_s,
        baseline_faces=len(pairs),
        face_recall=_mean([ours is not None for _, ours, _ in pairs]),
        mean_iou=_mean([iou for _, _, iou in found]),
        emotion_agreement=_mean(alike),
    )


def paired(theirs: Sequence[FrameFaces], ours: Sequence[FrameFaces]) -> list[tuple[Face, Face | None, float]]:
    """Each face of COMPARED_FACE_PX or more, the overlapping face of the other run, and their IoU.

    :param theirs, ours: the same samples.
    """
    return [pair for samples in zip(theirs, ours, strict=True) for pair in _paired_in(*samples)]


def _paired_in(theirs: FrameFaces, ours: FrameFaces) -> list[tuple[Face, Face | None, float]]:
    large = [face for face in theirs.faces if face.face_px >= COMPARED_FACE_PX]
    if not large:
        return []
    iou = box_iou(_boxes(large), _boxes(ours.faces)).numpy()
    rows, columns = linear_sum_assignment(iou, maximize=True)
    partner = {
        int(row): (ours.faces[column], float(iou[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if iou[row, column] >= _SAME_FACE_IOU
    }
    return [(face, *partner.get(row, (None, 0.0))) for row, face in enumerate(large)]


def _boxes(faces: Sequence[Face]) -> torch.Tensor:
    return torch.from_numpy(np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4))


def _emotion(face: Face) -> int:
    return int(probabilities_of(face).argmax())


def _sureness(face: Face) -> float:
    return float(probabilities_of(face).max())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _typed(boxes: object, probabilities: object, landmarks: object) -> Detections:
    """facenet-pytorch's output for one picture: ``None`` without a face, else arrays of objects."""
    if boxes is None:
        return Detections.none()
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(probabilities, np.float32).reshape(-1),
        np.asarray(landmarks, np.float32).reshape(-1, 5, 2),
    )
