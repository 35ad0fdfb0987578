"""Hand-made timelines, as rows and as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.records import EMOTIONS
from pipeline.store.parquet import as_frame, to_table, write_table
from pipeline.store.timeline import SCHEMA_VERSION, TIMELINE_SCHEMA, Timeline

SAMPLE_S = 0.2


Runs = Sequence[tuple[str, int]]


TWENTY_SECONDS: Runs = [("neutral", 50), ("happy", 20), ("no_face", 10), ("sad", 20)]
"""0–10 s neutral, 10–14 s happy, 14–16 s not seen, 16–20 s sad: 18 s of 20 s are read."""

THIRTY_SECONDS: Runs = [("happy", 50), ("neutral", 50), ("no_face", 25), ("sad", 25)]


def make_timeline(runs: Runs, patient_id: str = "P1", session_id: str = "S1", **metadata: Any) -> Timeline:
    """Runs of samples, five a second; each of an emotion (with probability 0.7) or of another status."""
    names = [name for name, count in runs for _ in range(count)]
    rows: dict[str, list[Any]] = {name: [None] * len(names) for name in TIMELINE_SCHEMA.names}
    rows["patient_id"], rows["session_id"] = [patient_id] * len(names), [session_id] * len(names)
    rows["sample"] = rows["frame"] = list(range(len(names)))
    rows["time_s"] = [k * SAMPLE_S for k in range(len(names))]
    rows["status"] = ["ok" if name in EMOTIONS else name for name in names]
    rows["fault"] = ["covered" if name == "low_quality" else None for name in names]
    rows["emotion"] = [name if name in EMOTIONS else None for name in names]
    for emotion in EMOTIONS:
        rows[f"p_{emotion}"] = [
            (0.7 if name == emotion else 0.05) if name in EMOTIONS else None for name in names
        ]
    rows["valence"] = [_valence(name) for name in names]
    return Timeline(as_frame(to_table(TIMELINE_SCHEMA, rows)), _metadata(len(names)) | metadata)


def _valence(name: str) -> float | None:
    by_emotion = {"happy": 0.65, "neutral": 0.0, "surprise": 0.0}
    return by_emotion.get(name, -0.65) if name in EMOTIONS else None


def chosen(by: str, track: int | None, tracks: int) -> dict[str, object]:
    """What a timeline says of its patient."""
    return {
        "track": track,
        "also": [],
        "chosen_by": by,
        "tracks": tracks,
        "identity": "recognised",
        "reason": None,
    }


def _metadata(samples: int) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": "0.1.0",
        "created_at": "2026-01-02T03:04:05+00:00",
        "device": "cpu",
        "session": {
            "parts": [[0.0, samples * SAMPLE_S]],
            "recorded_at": None,
            "condition": "",
            "attention_to": "camera",
        },
        "video": {
            "files": [{"name": "Jane_Doe.mp4", "sha256": "ab" * 32, "start_s": 0.0}],
            "duration_s": samples * SAMPLE_S,
            "missing_s": 0.0,
            "first_picture_s": 0.0,
            "without_picture_s": 0.0,
            "notes": [],
            "width": 640,
            "height": 480,
            "frame_rate": 25.0,
            "frames": samples * 5,
            "codec": "h264",
            "rotation": 0,
            "decoder": "decord",
        },
        "weights": {"name": "tiny", "sha256": "cd" * 32},
        "settings": {
            "sample_fps": 5.0,
            "min_face_px": 24,
            "patient_track": "longest",
            "max_gap_s": 2.0,
            "quality": {
                "min_face_px": 24.0,
                "min_sharpness": 12.0,
                "min_brightness": 0.1,
                "max_brightness": 0.95,
                "max_yaw": 60.0,
            },
        },
        "patient": chosen("longest", 1, 2),
        "seconds_lost": 0.0,
        "warnings": [],
    }


def put(out: Path, timeline: Timeline, patient_id: str = "P1", session_id: str = "S1") -> Path:
    path = out / "timelines" / f"patient_id={patient_id}" / f"{session_id}.parquet"
    columns = {name: timeline.rows[name].to_list() for name in TIMELINE_SCHEMA.names}
    write_table(path, to_table(TIMELINE_SCHEMA, columns), timeline.metadata)
    return path


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
