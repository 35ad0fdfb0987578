"""Check the recordings of a folder, one by one, and take a picture of each session's seats."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from pipeline.checks.preflight import Finding, Verdict, judge, overall
from pipeline.checks.seats import find_seats
from pipeline.checks.snapshots import Snapshot, inspect
from pipeline.errors import InputError, VideoError
from pipeline.faces.detection import CropSpec, Detector
from pipeline.processing.recordings_folder import find_list, find_videos, without_consent
from pipeline.processing.session import Session
from pipeline.processing.sessions_list import ids_from_names, read_study
from pipeline.records import ListedSeat, OnProgress, Still
from pipeline.video.container import VIDEO_SUFFIXES, VideoInfo, probe

_RANKS: tuple[Verdict, ...] = ("will not work", "could be better", "good")


@dataclass(frozen=True)
class Trial:
    """The recordings to check.

    :param videos: those that may be opened. ``refused``: video → list that states no consent.
    :param listed: the list of the folder. ``sessions``: those that begin in one of the videos; without a
        list, one for each video, with ids as far as names show them.
    """

    folder: Path
    videos: tuple[Path, ...]
    refused: Mapping[Path, Path]
    listed: Path | None
    sessions: tuple[Session, ...]


@dataclass(frozen=True, eq=False)
class Checked:
    """A recording that was checked.

    :param span_s: time of the first and the last picture.
    :param stills: by the session's place in :attr:`Trial.sessions`.
    :param problem: why the recording can't be read; empty if it can.
    """

    video: Path
    pictures: int = 0
    span_s: tuple[float, float] = (0.0, 0.0)
    findings: tuple[Finding, ...] = ()
    stills: Mapping[int, Still] | None = None
    problem: str = ""

    @property
    def advice(self) -> list[str]:
        """What to change, the most serious first."""
        found = sorted((f for f in self.findings if f.advice), key=lambda f: _RANKS.index(f.verdict))
        return [finding.advice for finding in found]


OnRecording = Callable[[VideoInfo, Sequence[Snapshot]], object]


def find_trial(path: Path) -> Trial:
    """The recordings of a folder, or one recording, and the sessions of the folder's list.

    :raises InputError: there is no recording, none may be opened, or a list can't be read.
    """
    is_folder = os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises for a name that is too long
    folder = path if is_folder else path.parent
    found = find_videos(folder).all if is_folder else (path,)
    if not found:
        raise InputError(f"{folder}: no video in this folder or below ({', '.join(VIDEO_SUFFIXES)}).")
    refused = without_consent(found)
    videos = tuple(video for video in found if video not in refused)
    if not videos:
        lists = ", ".join(sorted({str(listed) for listed in refused.values()}))
        raise InputError(
            f"{path}: not opened: {lists} states no consent; write yes there if there is consent."
        )
    listed = find_list(folder)
    sessions = _listed_sessions(listed, found) if listed else _named_sessions(folder, found)
    opened = [session for session in sessions if any(_is_same(session.video, video) for video in videos)]
    return Trial(folder, videos, refused, listed, tuple(opened))


def check_trial(
    trial: Trial,
    detect: Detector,
    crop_spec: CropSpec,
    on_progress: Callable[[int, int, str], None] = lambda done, total, note: None,
    on_recording: OnRecording = lambda info, looks: None,
) -> Iterator[Checked]:
    """Check each recording. One that can't be read does not stop the others, unless it is the only one.

    :param on_progress: called with (pictures done, pictures in all, name of the video).
    :param on_recording: called with each recording's pictures, before they are forgotten.
    :raises VideoError: the only recording can't be read.
    """
    for video in trial.videos:
        tell = partial(_tell, on_progress, video.name)
        try:
            yield _check(trial, video, detect, crop_spec, tell, on_recording)
        except VideoError as error:
            if len(trial.videos) == 1:
                raise
            yield Checked(video, problem=str(error))


def worst_first(checked: Sequence[Checked]) -> list[Checked]:
    def rank(one: Checked) -> tuple[int, int]:
        return -1 if one.problem else _RANKS.index(overall(one.findings)), -len(one.advice)

    return sorted(checked, key=rank)


def listed_seats(trial: Trial, checked: Sequence[Checked]) -> list[ListedSeat]:
    """A row for each session, in the order of the list."""
    stills = {place: still for one in checked for place, still in (one.stills or {}).items()}
    return [
        ListedSeat(
            session.patient_id,
            session.session_id,
            PurePath(os.path.relpath(session.video, trial.folder)).as_posix(),
            session.patient_region,
            stills.get(place),
        )
        for place, session in enumerate(trial.sessions)
    ]


def _check(
    trial: Trial,
    video: Path,
    detect: Detector,
    crop_spec: CropSpec,
    on_progress: OnProgress,
    on_recording: OnRecording,
) -> Checked:
    info = probe(video)
    looks = inspect(info, detect, crop_spec, on_progress)
    on_recording(info, looks)
    stills = {
        place: find_seats(_counting(looks, session), info)
        for place, session in enumerate(trial.sessions)
        if _is_same(session.video, video)
    }
    span_s = looks[0].sample.time_s, looks[-1].sample.time_s
    return Checked(video, len(looks), span_s, judge(looks, info), stills)


def _tell(on_progress: Callable[[int, int, str], None], name: str, done: int, total: int) -> None:
    on_progress(done, total, name)


def _counting(looks: Sequence[Snapshot], session: Session) -> Sequence[Snapshot]:
    """The pictures of the session's part of the video; all pictures, if none of that part is decoded."""
    start_s = session.start_s if session.start_s is not None else 0.0
    end_s = session.end_s if session.end_s is not None else float("inf")
    part = [look for look in looks if start_s <= look.sample.time_s <= end_s]
    return part if any(look.sample.decoded for look in part) else looks


def _listed_sessions(listed: Path, videos: Sequence[Path]) -> tuple[Session, ...]:
    """Those of the list, and those videos of the folder that no valid row names."""
    sessions = read_study(listed).sessions
    named = [video for session in sessions for video in session.videos]
    rest = [video for video in videos if not any(_is_same(video, other) for other in named)]
    return (*sessions, *(Session("", "", video) for video in rest))


def _named_sessions(folder: Path, videos: Sequence[Path]) -> tuple[Session, ...]:
    names = [PurePath(os.path.relpath(video, folder)).as_posix() for video in videos]
    return tuple(Session(*ids, video) for ids, video in zip(ids_from_names(names), videos, strict=True))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
