"""When a face is too small, dark, unsharp or turned away for its expression to be read."""

from dataclasses import dataclass

from pipeline.records import Face


@dataclass(frozen=True)
class QualityLimits:
    """Below these a face is seen but not judged (status ``low_quality``).

    The smallest face is half the resolution of FER2013, on which the classifier was trained. The others
    keep the shared trial clips' legible faces and leave out faces darkened or blurred beyond recognition.
    """

    min_face_px: float = 24.0
    min_sharpness: float = 12.0
    min_brightness: float = 0.1
    max_brightness: float = 0.95
    max_yaw: float = 60.0

    def accept(self, face: Face) -> bool:
        return not self.faults(face)

    def faults(self, face: Face) -> list[str]:
        """What keeps a face from being judged, in words."""
        within = {
            "too small": face.face_px >= self.min_face_px,
            "blurred": face.sharpness >= self.min_sharpness,
            "too dark": face.brightness >= self.min_brightness,
            "too bright": face.brightness <= self.max_brightness,
            "turned away": abs(face.yaw) <= self.max_yaw,
        }
        return [fault for fault, good in within.items() if not good]
