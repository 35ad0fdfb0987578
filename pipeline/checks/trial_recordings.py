"""Check the recordings of a folder, one by one, and take a picture for each row of the list of sessions."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from pipeline.checks.preflight import judge, overall
from pipeline.checks.seats import find_seats
from pipeline.checks.snapshots import Snapshot, inspect
from pipeline.errors import InputError, VideoError
from pipeline.faces.detection import CropSpec, Detector
from pipeline.processing.list_cells import YES_OR_NO, read_region
from pipeline.processing.recordings_folder import (
    FileIdentity,
    FolderVideos,
    file_identity,
    find_list,
    find_videos,
    rows_of,
    without_consent,
)
from pipeline.processing.sessions_list import ids_from_names
from pipeline.reasons import Reason, free_text
from pipeline.records import CheckedRecording, Finding, ListedRow, OnProgress, Region, Still, Verdict
from pipeline.sound.level import measure_sound
from pipeline.store.spreadsheet import read_seconds
from pipeline.video.container import VideoInfo, probe

_RANKS: tuple[Verdict, ...] = ("will not work", "could be better", "good")


@dataclass(frozen=True)
class TrialRow:
    """A row of the list, existing or proposed, that names a recording.

    :param part_s: begin and end of the part that counts.
    """

    row: ListedRow
    part_s: tuple[float, float] = (0.0, float("inf"))


@dataclass(frozen=True)
class Trial:
    """The recordings to check.

    :param videos: those that may be opened. ``refused``: video → list that states no consent.
    :param listed: the list of the folder.
    :param rows: video → its rows in the list; one with the ids that the file's name shows, if there is none.
    :param names: video → as the list writes it, or else its path from the folder.
    :param errors: why other videos of the folder can't be checked.
    """

    folder: Path
    videos: tuple[Path, ...]
    refused: Mapping[Path, Path]
    listed: Path | None
    rows: Mapping[Path, tuple[TrialRow, ...]]
    names: Mapping[Path, str]
    errors: tuple[InputError, ...] = ()


@dataclass(frozen=True, eq=False)
class Checked:
    """A recording that was checked.

    :param span_s: time of the first and the last picture.
    :param stills: of the video's rows, in their order.
    :param problem: why the recording can't be read.
    """

    video: Path
    pictures: int = 0
    span_s: tuple[float, float] = (0.0, 0.0)
    findings: tuple[Finding, ...] = ()
    stills: tuple[Still, ...] = ()
    problem: VideoError | None = None

    @property
    def advice(self) -> list[Reason]:
        """What to change, the most serious first."""
        found = sorted(self.findings, key=lambda finding: _RANKS.index(finding.verdict))
        return [finding.advice for finding in found if finding.advice]


OnRecording = Callable[[VideoInfo, Sequence[Snapshot]], object]


def find_trial(path: Path, *, may_open_none: bool = False) -> Trial:
    """The recordings of a folder, or one recording, and the rows of the folder's list.

    :param may_open_none: whether a folder is of use in which no recording may be opened.
    :raises InputError: there is no recording, none may be opened, or a list can't be read.
    """
    is_folder = os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises for a name that is too long
    folder = path if is_folder else path.parent
    inside = find_videos(folder) if is_folder else FolderVideos((path,), (), ())
    found = inside.all
    if not found:
        raise inside.none_found(folder)
    refused = without_consent(found)
    videos = tuple(video for video in found if video not in refused)
    if not (videos or (is_folder and may_open_none)):
        lists = ", ".join(sorted({str(listed) for listed in refused.values()}))
        raise InputError(
            f"{path}: not opened: {lists} states no consent; write yes there if there is consent."
        )
    listed = find_list(folder)
    paths = {video: PurePath(os.path.relpath(video, folder)).as_posix() for video in found}
    there = _rows_by_file(listed)
    names, rows = {}, {}
    for (video, name), ids in zip(paths.items(), ids_from_names(list(paths.values())), strict=True):
        own = there.get(file_identity(video), [])
        names[video] = own[0]["video"] if own else name
        proposed = TrialRow(ListedRow(*ids, from_name=any(ids)))
        rows[video] = tuple(map(_trial_row, own)) or (proposed,)
    return Trial(folder, videos, refused, listed, rows, names, inside.errors)


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
            yield Checked(video, problem=error)


def worst_first(checked: Sequence[Checked]) -> list[Checked]:
    def rank(one: Checked) -> tuple[int, int]:
        return -1 if one.problem else _RANKS.index(overall(one.findings)), -len(one.advice)

    return sorted(checked, key=rank)


def checked_recordings(trial: Trial, checked: Sequence[Checked]) -> list[CheckedRecording]:
    """All recordings for a page, the worst first; those that were not opened come last."""
    opened = [
        replace(
            _recording(trial, one.video),
            rows=tuple(
                replace(row.row, still=still)
                for row, still in zip(trial.rows[one.video], one.stills, strict=True)
            )
            if one.stills
            else tuple(row.row for row in trial.rows[one.video]),
            findings=one.findings,
            problem=_problem(one.problem) if one.problem else None,
        )
        for one in worst_first(checked)
    ]
    return opened + [replace(_recording(trial, video), refused=True) for video in sorted(trial.refused)]


def _recording(trial: Trial, video: Path) -> CheckedRecording:
    try:
        size_bytes = video.stat().st_size
    except OSError:
        size_bytes = 0
    return CheckedRecording(trial.names[video], size_bytes, tuple(row.row for row in trial.rows[video]))


def _problem(error: VideoError) -> Reason:
    return error.reason or free_text(error)


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
    stills = tuple(find_seats(_counting(looks, row), info) for row in trial.rows[video])
    span_s = looks[0].sample.time_s, looks[-1].sample.time_s
    return Checked(video, len(looks), span_s, judge(looks, info, measure_sound(info)), stills)


def _tell(on_progress: Callable[[int, int, str], None], name: str, done: int, total: int) -> None:
    on_progress(done, total, name)


def _counting(looks: Sequence[Snapshot], row: TrialRow) -> Sequence[Snapshot]:
    """The pictures of the row's part of the video; all pictures, if none of that part is decoded."""
    start_s, end_s = row.part_s
    part = [look for look in looks if start_s <= look.sample.time_s <= end_s]
    return part if any(look.sample.decoded for look in part) else looks


def _rows_by_file(listed: Path | None) -> Mapping[FileIdentity | None, list[Mapping[str, str]]]:
    """The rows of a list, whatever is wrong with them."""
    found: dict[FileIdentity | None, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows_of(listed) if listed else ():
        if listed and row["video"] and (file := file_identity(listed.parent / row["video"])):
            found[file].append(row)
    return found


def _trial_row(cells: Mapping[str, str]) -> TrialRow:
    """A row of the list; what is wrong in it is left out: `study check` reports it."""
    row = ListedRow(
        cells.get("patient_id", ""),
        cells.get("session_id", ""),
        cells.get("condition", ""),
        YES_OR_NO.get(cells.get("consent", "").casefold()),
        _region(cells.get("patient_region", "")),
        recorded_at=cells.get("recorded_at", ""),
    )
    return TrialRow(
        row, (_seconds(cells.get("start_s", ""), 0.0), _seconds(cells.get("end_s", ""), float("inf")))
    )


def _region(cell: str) -> Region | None:
    try:
        return read_region(cell)
    except InputError:
        return None


def _seconds(cell: str, absent_s: float) -> float:
    try:
        return read_seconds(cell)
    except InputError:
        return absent_s
