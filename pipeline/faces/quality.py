"""Limits of size, brightness, sharpness, pose and cover for a readable face."""

from dataclasses import dataclass

from pipeline.records import FAULTS, Face


@dataclass(frozen=True)
class QualityLimits:
    """A face beyond these limits is detected but not classified (status ``low_quality``).

    The smallest face has half the resolution of FER2013, on which the classifier was trained. The other
    limits keep the legible faces of the trial clips and reject faces darkened or blurred beyond recognition.
    """

    min_face_px: float = 24.0
    min_sharpness: float = 12.0
    min_brightness: float = 0.1
    max_brightness: float = 0.95
    max_yaw: float = 60.0
    max_covered: float = 0.5

    def accept(self, face: Face) -> bool:
        return not self.faults(face)

    def faults(self, face: Face) -> list[str]:
        """The reasons why a face is rejected, of :data:`pipeline.records.FAULTS`."""
        within = (
            face.face_px >= self.min_face_px,
            face.sharpness >= self.min_sharpness,
            face.brightness >= self.min_brightness,
            face.brightness <= self.max_brightness,
            abs(face.yaw) <= self.max_yaw,
            face.covered <= self.max_covered,
        )
        return [fault for fault, good in zip(FAULTS, within, strict=True) if not good]
