"""Simulate a study with known truth: twelve patients, eight sessions each, no video.

Each patient has an individual face at rest (classifiers read old faces at rest as sad or angry) and an
individual expressiveness, and smiles more often with music; a walk in the garden has no effect. The
expression in a session is a semi-Markov process: neutral, interrupted by episodes. The simulated classifier
output is noisy, and for part of the time no face is readable.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from pipeline.errors import InputError, OutputError
from pipeline.processing.session import Settings
from pipeline.records import EMOTIONS, SAMPLE_FPS, valence
from pipeline.store.files import make_private_folder
from pipeline.store.parquet import to_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import Cell, write_rows
from pipeline.store.status import Outcome, record
from pipeline.store.timeline import SCHEMA_VERSION, TIMELINE_SCHEMA

Floats = NDArray[np.float64]

PATIENTS, SESSIONS = 12, 8
LENGTH_S = 600.0
CONDITIONS = ("baseline", "music", "baseline", "garden", "music", "baseline", "garden", "music")

SMILES_WITH_MUSIC = 2.0
"""Factor on the rate of smiles with music."""

_NEUTRAL = EMOTIONS.index("neutral")

# Episodes per minute at baseline, and their mean length, s.
_PER_MINUTE = {"happy": 1.2, "sad": 0.5, "angry": 0.25, "surprise": 0.3, "fear": 0.1, "disgust": 0.05}
_MEAN_S = {"happy": 6.0, "sad": 8.0, "angry": 4.0, "surprise": 2.0, "fear": 3.0, "disgust": 2.5}
_SHORTEST_S = 1.6

# Logit of the shown emotion above the others, and noise of each sample.
_SHOWN, _NOISE, _NOISE_LASTS = 4.0, 0.7, 0.6

# Gaps without a readable face: number per minute, mean length (s), and status.
_AWAY_PER_MINUTE, _AWAY_S = 0.7, 9.0
_AWAY = ("no_face", "no_face", "low_quality", "other_person")

# Share of the pose and the light that stays from sample to sample.
_STAYS = 0.98

# Mean lengths of silence and of speech, s.
_QUIET_S, _SPEECH_S = 40.0, 8.0

# Time after the begin of a song with more smiles (s), and the factor on their rate.
_SONG_S, _SONG_CHANCE = 8.0, 0.7


_WITHOUT_MMSE = 7
"""Number of a patient whose MMSE is not known."""


@dataclass(frozen=True)
class Shown:
    """A simulated episode."""

    emotion: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class _Patient:
    """:param rest: (7,) logits added by the face at rest. ``lively``: factor on all rates."""

    patient_id: str
    rest: Floats
    lively: float
    seen: float


def prepare_output(out: Path) -> None:
    """Create the folder, and ``truth/`` in it, which marks the folder as a simulated study.

    :raises InputError: the folder is not empty and holds no simulated study.
    :raises OutputError: the folder can't be written to.
    """
    truth = out / "truth"
    try:
        if not truth.is_dir() and out.exists() and any(out.iterdir()):
            raise InputError(f"{out}: holds something else than a made study; choose another `out`.")
        make_private_folder(truth)
    except OSError as error:
        raise OutputError(f"{out}: can't be written to ({error.strerror}); choose another `out`.") from error


def make_study(
    out: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    seed: int = 0,
    patients: int | None = None,
) -> None:
    """Writes ``timelines/``, ``status.parquet``, two raters' ``ratings/`` and the ``truth/``; and the lists
    ``events.csv`` and ``patients.csv``.

    :param on_progress: called with (sessions done, sessions in all).
    :param patients: their number; default: :data:`PATIENTS`.
    :raises OutputError: a file can't be written.
    """
    count = PATIENTS if patients is None else patients
    random = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    truth: list[dict[str, Cell]] = []
    events: list[dict[str, Cell]] = []
    ratings: tuple[list[dict[str, Cell]], ...] = ([], [])
    rated: dict[str, Cell] = {"rated_from_s": 0, "rated_to_s": LENGTH_S}
    for number, patient in enumerate(_patients(random, count)):
        for session, condition in enumerate(CONDITIONS, start=1):
            ids = {"patient_id": patient.patient_id, "session_id": f"S{session:02}"}
            songs = _songs(random) if condition == "music" else []
            shown = list(_expression(patient, condition, songs, random))
            outcomes.append(
                _write(out, ids, patient, condition, _recorded_at(number, session, random), shown, random)
            )
            truth += [{**ids, **_row(episode)} for episode in shown]
            events += [{**ids, "time_s": round(song, 1), "what": "song begins"} for song in songs]
            if session == 2:
                for rater, rows in enumerate(ratings, start=1):
                    rows += [{**ids, **_row(episode), **rated} for episode in _as_rated(shown, rater, random)]
            on_progress(number * SESSIONS + session, count * SESSIONS)
    columns = ("patient_id", "session_id", "start_s", "end_s", "code")
    record(out, *outcomes)
    write_rows(out / "truth" / "episodes.csv", columns, truth)
    write_rows(out / "events.csv", ("patient_id", "session_id", "time_s", "what"), events)
    write_rows(
        out / "patients.csv", ("patient_id", "age", "sex", "mmse", "group"), _known_of_patients(seed, count)
    )
    for name, rows in zip(("rater_a", "rater_b"), ratings, strict=True):
        write_rows(out / "ratings" / f"{name}.csv", (*columns, *rated), rows)


def _row(episode: Shown) -> dict[str, Cell]:
    return {
        "start_s": round(float(episode.start_s), 2),
        "end_s": round(float(episode.end_s), 2),
        "code": episode.emotion,
    }


def _known_of_patients(seed: int, count: int) -> Iterator[dict[str, Cell]]:
    """What the study knows of the patients; it has no influence on their expression. One MMSE is missing."""
    random = np.random.default_rng([seed, count])  # its own, so that it changes no other number of the study
    for number in range(1, count + 1):
        mmse = int(random.integers(6, 25))
        yield {
            "patient_id": f"P{number:02}",
            "age": round(float(np.clip(random.normal(83, 6), 65, 98))),
            "sex": "f" if random.random() < 0.65 else "m",
            "mmse": None if number == _WITHOUT_MMSE else mmse,
            "group": "day care" if number % 2 else "nursing home",
        }


def _patients(random: np.random.Generator, count: int) -> Iterator[_Patient]:
    for number in range(1, count + 1):
        rest = random.normal(0, 0.3, len(EMOTIONS))
        # one patient in three looks sad or angry at rest
        if number % 3 == 0:
            rest[EMOTIONS.index("sad" if number % 2 else "angry")] += 3.2
        yield _Patient(
            patient_id=f"P{number:02}",
            rest=rest,
            lively=float(random.lognormal(0, 0.35)) if number != count else 0.08,
            seen=float(random.uniform(0.7, 1.4)),
        )


def _recorded_at(patient: int, session: int, random: np.random.Generator) -> datetime:
    day = datetime(2026, 3, 2, 10) + timedelta(weeks=session - 1, days=patient % 5)
    return day + timedelta(hours=float(random.choice([0, 1, 4, 5])), minutes=int(random.integers(0, 60)))


def _songs(random: np.random.Generator) -> list[float]:
    return [float(start) for start in np.sort(random.uniform(60, LENGTH_S - 60, 3)).round(1)]


def _expression(
    patient: _Patient, condition: str, songs: list[float], random: np.random.Generator
) -> Iterator[Shown]:
    """Episodes in order of time, with neutral in between."""
    rates = {name: rate * patient.lively / 60 for name, rate in _PER_MINUTE.items()}
    if condition == "music":
        rates["happy"] *= SMILES_WITH_MUSIC
    whole = sum(rates.values())
    names, chances = list(rates), np.array(list(rates.values())) / whole
    now = 0.0
    while True:
        start = now + random.exponential(1 / whole)
        emotion = str(random.choice(names, p=chances))
        song = next((at for at in songs if now <= at < start), None)
        if song is not None and random.random() < _SONG_CHANCE * min(patient.lively, 1):
            start, emotion = song + random.uniform(1, _SONG_S), "happy"
        end = start + _SHORTEST_S + random.exponential(_MEAN_S[emotion] - _SHORTEST_S)
        if end >= LENGTH_S:
            return
        yield Shown(emotion, round(start, 2), round(end, 2))
        now = end + 2


def _write(
    out: Path,
    ids: dict[str, str],
    patient: _Patient,
    condition: str,
    recorded_at: datetime,
    shown: list[Shown],
    random: np.random.Generator,
) -> Outcome:
    """Write one timeline → outcome of the session."""
    time_s = np.arange(0, LENGTH_S, 1 / SAMPLE_FPS)
    probabilities = as_classified(time_s, shown, patient.rest, random)
    status = _statuses(time_s, patient, random)
    metadata = _metadata(ids, condition, recorded_at, float((status == "ok").mean()))
    blank_rows: dict[str, list[Any]] = dict.fromkeys(TIMELINE_SCHEMA.names, [None] * len(time_s))
    rows = blank_rows | {name: [value] * len(time_s) for name, value in ids.items()}
    # a generator of its own, so that speech and pose change no other number of the study
    own = random.spawn(1)[0]
    columns = _columns(time_s, status, probabilities) | _speech(time_s, status, own)
    columns |= _pose_and_light(status, own)
    table = to_table(TIMELINE_SCHEMA, rows | columns)
    write_table(timeline_path(out, ids["patient_id"], ids["session_id"]), table, metadata)
    blank = Outcome(
        ids["patient_id"],
        ids["session_id"],
        "done",
        (),
        None,
        None,
        None,
        LENGTH_S / 4,
        metadata["created_at"],
    )
    return blank.with_result(metadata)


def as_classified(
    time_s: Floats, shown: list[Shown], rest: Floats, random: np.random.Generator
) -> NDArray[np.float32]:
    """(n, 7) simulated classifier output for these episodes, with autocorrelated noise."""
    logits = np.zeros((len(time_s), len(EMOTIONS)))
    state = np.full(len(time_s), _NEUTRAL)
    for episode in shown:
        state[(time_s >= episode.start_s) & (time_s < episode.end_s)] = EMOTIONS.index(episode.emotion)
    logits[np.arange(len(time_s)), state] = _SHOWN
    noise = random.normal(0, _NOISE * np.sqrt(1 - _NOISE_LASTS**2), logits.shape)
    noise = lfilter([1.0], [1.0, -_NOISE_LASTS], noise, axis=0)
    # an expression hides the face at rest
    logits += noise + rest * (state == _NEUTRAL)[:, None]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _statuses(time_s: Floats, patient: _Patient, random: np.random.Generator) -> NDArray[np.str_]:
    status = np.full(len(time_s), "ok", dtype="U12")
    now = 0.0
    while now < LENGTH_S:
        now += random.exponential(60 * patient.seen / _AWAY_PER_MINUTE)
        end = now + random.exponential(_AWAY_S)
        status[(time_s >= now) & (time_s < end)] = random.choice(_AWAY)
        now = end
    return status


def _where(mask: NDArray[np.bool_], values: Any) -> list[Any]:
    filled = np.broadcast_to(values, len(mask)).tolist()
    return [value if there else None for value, there in zip(filled, mask.tolist(), strict=True)]


def _columns(
    time_s: Floats, status: NDArray[np.str_], probabilities: NDArray[np.float32]
) -> dict[str, list[Any]]:
    """The columns that are made; those of the face are null if no face was detected."""
    ok = status == "ok"
    seen = ok | (status == "low_quality")
    box = {"x1": 380.0, "y1": 120.0, "x2": 520.0, "y2": 300.0, "face_px": 158.7}
    face = {"track": 1, "detection": 0.99, **box}
    return {
        "sample": list(range(len(time_s))),
        "time_s": time_s.tolist(),
        "frame": (time_s * 25).astype(int).tolist(),
        "status": status.tolist(),
        "fault": _where(status == "low_quality", "blurred"),
        **{name: _where(seen, value) for name, value in face.items()},
        **{f"p_{name}": _where(ok, probabilities[:, place]) for place, name in enumerate(EMOTIONS)},
        "emotion": _where(ok, np.array(EMOTIONS)[probabilities.argmax(axis=1)]),
        "valence": _where(ok, valence(probabilities)),
        "facing": _where(ok, "camera"),
    }


def _speech(time_s: Floats, status: NDArray[np.str_], random: np.random.Generator) -> dict[str, list[Any]]:
    """Spells of speech, which leave the expression as it is; nobody chews."""
    spoken, now = np.zeros(len(time_s), bool), 0.0
    while now < LENGTH_S:
        now += random.exponential(_QUIET_S)
        end = now + random.exponential(_SPEECH_S)
        spoken[(time_s >= now) & (time_s < end)] = True
        now = end
    ok = status == "ok"
    return {
        "voice": np.where(spoken, 0.9, 0.05).tolist(),
        "speaking": _where(ok, np.where(spoken, 0.9, 0.0)),
        "chewing": _where(ok, 0.0),
        "eyes_open": _where(ok, 0.95),
    }


def _pose_and_light(status: NDArray[np.str_], random: np.random.Generator) -> dict[str, list[Any]]:
    """How a seen face is turned, lit and covered, which has nothing to do with what it shows."""
    seen = (status == "ok") | (status == "low_quality")
    wander = lfilter([np.sqrt(1 - _STAYS**2)], [1.0, -_STAYS], random.normal(0, 1, (6, len(status))))
    limits = {"yaw": (0.0, 6.0, 20.0), "pitch": (0.0, 4.0, 15.0), "roll": (0.0, 3.0, 12.0)}
    limits |= {"brightness": (0.5, 0.04, 0.15), "covered": (0.1, 0.02, 0.08)}
    values = {
        name: middle + np.clip(sd * own, -most, most)
        for own, (name, (middle, sd, most)) in zip(wander, limits.items(), strict=False)
    }
    values["sharpness"] = np.where(status == "ok", 120.0, 8.0) * np.exp(np.clip(0.1 * wander[-1], -0.3, 0.3))
    return {name: _where(seen, of_it) for name, of_it in values.items()}


def _metadata(ids: dict[str, str], condition: str, recorded_at: datetime, coverage: float) -> dict[str, Any]:
    name = f"{ids['patient_id']}_{ids['session_id']}.mp4"
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": version("emonext-care"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": "none",
        "video": {
            "duration_s": LENGTH_S,
            "missing_s": 0.0,
            "first_picture_s": 0.0,
            "without_picture_s": 0.0,
            "notes": [],
            "width": 960,
            "height": 540,
            "frame_rate": 25.0,
            "frames": round(25 * LENGTH_S),
            "codec": "made",
            "rotation": 0,
            "decoder": "none",
            "files": [{"name": name, "sha256": sha256(name.encode()).hexdigest(), "start_s": 0.0}],
        },
        "session": {
            "parts": [(0.0, LENGTH_S)],
            "recorded_at": recorded_at.isoformat(),
            "condition": condition,
            "attention_to": "camera",
        },
        "weights": {"name": "made", "sha256": "0" * 64, "reads": "votes", "temperature": 1.0},
        "settings": asdict(Settings()),
        "patient": {
            "track": 1,
            "also": [],
            "chosen_by": "hand",
            "tracks": 2,
            "identity": "confirmed",
            "reason": None,
        },
        "coverage": coverage,
        "seconds_lost": 0.0,
        "warnings": [],
    }


def _as_rated(shown: list[Shown], rater: int, random: np.random.Generator) -> list[Shown]:
    """Simulated coding by a rater: slightly late, with missed and confused episodes."""
    rated: list[Shown] = []
    for episode in shown:
        if random.random() < 0.05 * rater:
            continue
        late, long = random.normal(0.3, 0.2, 2)
        code = str(random.choice(list(_PER_MINUTE))) if random.random() < 0.05 * rater else episode.emotion
        start = max(episode.start_s + late, rated[-1].end_s if rated else 0.0)
        end = min(episode.end_s + long, LENGTH_S)
        if end - start > 0.5:
            rated.append(Shown(code, round(start, 2), round(end, 2)))
    return rated
