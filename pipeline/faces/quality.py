"""Limits of size, brightness, sharpness and pose for a readable face."""

from dataclasses import dataclass

from pipeline.records import Face


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

    def accept(self, face: Face) -> bool:
        return not self.faults(face)

    def faults(self, face: Face) -> list[str]:
        """The reasons why a face is rejected, in words."""
        within = {
            "too small": face.face_px >= self.min_face_px,
            "blurred": face.sharpness >= self.min_sharpness,
            "too dark": face.brightness >= self.min_brightness,
            "too bright": face.brightness <= self.max_brightness,
            "turned away": abs(face.yaw) <= self.max_yaw,
        }
        return [fault for fault, good in within.items() if not good]
