"""pipeline.processing.batch: what fails is a row, the others go on, and nothing half-written stays."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest
from videos import cut_off, remux, sound_only

from pipeline.errors import InputError, OutputError
from pipeline.processing.batch import check_id, plan_sessions, process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Instruments, QualityLimits, Session, Settings
from pipeline.store.lock import is_held
from pipeline.store.status import Outcome, overview, read_status, record
from pipeline.store.timeline import read_timeline

FACE = [(40, 60)]

Sessions = list[Session]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def recordings(make_recording: Callable[..., Path]) -> list[Session]:
    """Three sessions of a second each."""
    return [Session("P1", name, make_recording(f"P1_{name}.mp4", FACE)) for name in ("S1", "S2", "S3")]


def states(out: Path) -> dict[str, str]:
    return dict(read_status(out).select("session_id", "state").rows())


def partial_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial*"))


# --- ids


@pytest.mark.parametrize("value", ["P012", "p", "0", "P-1_a.b", "a" * 64])
def test_a_pseudonym_is_taken(value: str) -> None:
    assert check_id("--patient", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "../x",
        "a/b",
        "/etc",
        ".hidden",
        "..",
        "-x",
        "_x",
        "Marie Curie",
        "a" * 65,
        "Zoë",
        "P1\n",
        "P1\x00",
        "P=1",
        "a:b",
        "٣",
    ],
)
def test_what_could_be_a_path_or_a_name_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="--patient"):
        check_id("--patient", value)


# --- planning


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def ids(sessions: list[Session]) -> list[tuple[str, str, str]]:
    return [(session.patient_id, session.session_id, session.video.name) for session in sessions]


def test_no_inputs_are_no_sessions() -> None:
    assert plan_sessions([], None, None) == []


@pytest.mark.parametrize("relative", [True, False])
def test_a_folder_whose_name_is_no_text_is_refused(
    tmp_path: Path, relative: bool, fake_instruments: Instruments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status holds full paths, as text."""
    folder, out = tmp_path / os.fsdecode(b"caf\xe9"), tmp_path / "out"
    (video,) = touch(folder, "P1_S1.mp4")
    monkeypatch.chdir(folder)
    if relative:
        video = Path(video.name)
    with pytest.raises(InputError, match=r"'.*caf.udce9': this folder's name is not text; rename the folder"):
        plan_sessions([video], None, None)
    with pytest.raises(InputError, match="rename the folder"):
        process_sessions([Session("P1", "S1", video)], out, Settings(), in_this_process(fake_instruments), "")
    assert not out.exists()


def test_a_folder_s_videos_take_their_ids_from_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "P2_S1.mov", "P1_S2.mp4", "P1_S1.MP4", "P1_S1_part2.mkv", "notes.txt", "P1_S9.mp4.txt")
    assert ids(plan_sessions([tmp_path], None, None)) == [
        ("P1", "S1", "P1_S1.MP4"),
        ("P1", "S1_part2", "P1_S1_part2.mkv"),
        ("P1", "S2", "P1_S2.mp4"),
        ("P2", "S1", "P2_S1.mov"),
    ]


def test_options_name_one_video(tmp_path: Path) -> None:
    (video,) = touch(tmp_path, "Marie Curie am Montag.mp4")
    assert ids(plan_sessions([video], "P7", "S3")) == [("P7", "S3", video.name)]


def test_a_patient_is_given_for_many_sessions(tmp_path: Path) -> None:
    touch(tmp_path, "monday.mp4", "P7_tuesday.mp4", "X_friday.mp4")
    assert ids(plan_sessions([tmp_path], "P7", None)) == [
        ("P7", "tuesday", "P7_tuesday.mp4"),
        ("P7", "X_friday", "X_friday.mp4"),
        ("P7", "monday", "monday.mp4"),
    ]


@pytest.mark.parametrize(
    ("names", "patient", "session", "message"),
    [
        (["monday.mp4"], None, None, r"monday\.mp4.*--patient"),
        (["monday.mp4"], None, "S1", r"monday\.mp4.*--patient"),
        (["P1_S1.mp4", "P1_S1.mkv"], None, None, r"P1_S1\.mp4.*P1_S1\.mkv"),
        (["P1_S1.mp4", "P1_S2.mp4"], None, "S5", "--session S5.*2 videos"),
        (["Marie Curie_S1.mp4"], None, None, "Marie Curie.*pseudonym"),
        (["P1_.mp4"], None, None, "P1_.mp4: '': not a usable id"),
        (["_S1.mp4"], None, None, "_S1.mp4: '': not a usable id"),
        (["notes.txt"], None, None, "no video in this folder"),
    ],
)
def test_a_plan_that_can_t_be_carried_out_is_refused(
    tmp_path: Path, names: list[str], patient: str | None, session: str | None, message: str
) -> None:
    touch(tmp_path / "in", *names)
    with pytest.raises(InputError, match=message):
        plan_sessions([tmp_path / "in"], patient, session)


def test_the_same_video_twice_is_refused(tmp_path: Path) -> None:
    (video,) = touch(tmp_path, "P1_S1.mp4")
    with pytest.raises(InputError, match="same patient and session"):
        plan_sessions([video, tmp_path], None, None)


def test_a_missing_input_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    touch(tmp_path, "P1_S1.mp4")
    with pytest.raises(InputError, match=r"P1_S2\.mp4: not found"):
        plan_sessions([tmp_path / "P1_S1.mp4", tmp_path / "P1_S2.mp4"], None, None)


# --- a batch


def process(
    sessions: list[Session], out: Path, settings: Settings, instruments: Instruments, **options: Any
) -> list[Outcome]:
    """In this process, where a test's own functions can be used."""
    return process_sessions(sessions, out, settings, in_this_process(instruments), "0" * 64, **options)


def test_no_sessions_leave_an_empty_status(out: Path, fake_instruments: Instruments) -> None:
    assert process([], out, Settings(), fake_instruments) == []
    assert read_status(out).is_empty()


def test_every_session_is_a_row(recordings: Sessions, out: Path, fake_instruments: Instruments) -> None:
    outcomes = process(recordings, out, Settings(), fake_instruments)
    assert [(o.session_id, o.state, o.reason) for o in outcomes] == [
        (s, "done", "") for s in ("S1", "S2", "S3")
    ]
    rows = read_status(out)
    assert rows["state"].to_list() == ["done"] * 3
    assert rows["coverage"].to_list() == pytest.approx([1] * 3)
    assert rows["video_s"].to_list() == pytest.approx([1] * 3)
    assert rows["seconds_lost"].to_list() == [0] * 3
    assert pl.scan_parquet(f"{out}/timelines/**/*.parquet").collect().height == 15
    assert len(list(out.glob("logs/P1/*.log"))) == 3
    assert not partial_files(out)


def test_progress_names_the_session(recordings: Sessions, out: Path, fake_instruments: Instruments) -> None:
    calls = []
    process(
        recordings[:2],
        out,
        Settings(),
        fake_instruments,
        on_session=lambda s, d, t: calls.append((s.session_id, d, t)),
    )
    assert calls == [(name, done, 5) for name in ("S1", "S2") for done in range(1, 6)]


def test_a_session_that_fails_is_a_row_and_the_others_go_on(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    recordings[1].video.write_text("no video")
    outcomes = process(recordings, out, Settings(), fake_instruments)
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert states(out) == {"S1": "done", "S2": "failed", "S3": "done"}
    failed = read_status(out).row(1, named=True)
    assert "can't be read as a video" in failed["reason"]
    assert (failed["coverage"], failed["seconds_lost"], failed["video_s"]) == (None, None, None)
    assert not recordings[1].timeline_path(out).exists()
    assert "P1_S2.mp4" in (out / "logs/P1/S2.log").read_text()


def test_an_unexpected_error_is_a_row_and_the_log_has_the_traceback(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    calls = iter([RuntimeError("out of memory on the GPU"), None, None])

    def detect(images):
        error = next(calls)
        if error:
            raise error
        return fake_instruments.detect(images)

    outcomes = process(recordings, out, Settings(), replace(fake_instruments, detect=detect))
    assert [outcome.state for outcome in outcomes] == ["failed", "done", "done"]
    assert "RuntimeError: out of memory on the GPU" in outcomes[0].reason
    assert "Traceback" in (out / "logs/P1/S1.log").read_text()
    assert not partial_files(out)


def test_a_video_cut_off_is_partial_with_the_seconds_lost(
    clips: Path, tmp_path: Path, out: Path, fake_instruments: Instruments
) -> None:
    whole = remux(
        clips / "single_face.mp4", tmp_path / "a.mp4", copies=4, container_options={"movflags": "faststart"}
    )
    session = Session("P1", "S1", cut_off(whole, tmp_path / "P1_S1.mp4", 0.5))
    (outcome,) = process([session], out, Settings(), fake_instruments)
    assert outcome.state == "partial"
    assert outcome.seconds_lost > 2
    assert "could not be decoded" in outcome.reason
    assert states(out) == {"S1": "partial"}


def test_a_session_without_a_face_is_done_with_a_warning(
    make_recording: Callable[..., Path], out: Path, fake_instruments: Instruments
) -> None:
    (outcome,) = process(
        [Session("P1", "S1", make_recording("a.mp4", []))], out, Settings(), fake_instruments
    )
    assert (outcome.state, outcome.coverage) == ("done", 0)
    assert "no face" in outcome.reason


def test_a_session_of_poor_pictures_is_done_with_a_warning(
    make_recording: Callable[..., Path], out: Path, fake_instruments: Instruments
) -> None:
    session = Session("P1", "S1", make_recording("a.mp4", [(40, 40)]))
    settings = Settings(quality=QualityLimits(min_brightness=0.99))
    (outcome,) = process([session], out, settings, fake_instruments)
    assert (outcome.state, outcome.coverage) == ("done", 0)
    assert outcome.reason == "the patient's face was found, but never well enough to be read"


@pytest.mark.parametrize(
    ("kind", "reason"), [("empty", "empty"), ("sound", "only audio"), ("missing", "not found")]
)
def test_what_is_no_video_fails_and_the_row_does_not_tell_its_name(
    tmp_path: Path, out: Path, fake_instruments: Instruments, kind: str, reason: str
) -> None:
    """A file can be named after a person; the row gets into the report."""
    path = tmp_path / "Marie Curie.mp4"
    if kind == "empty":
        path.touch()
    if kind == "sound":
        sound_only(path)
    (outcome,) = process([Session("P1", "S1", path)], out, Settings(), fake_instruments)
    assert outcome.state == "failed"
    assert reason in outcome.reason
    assert "Marie" not in outcome.reason
    assert "\n" not in outcome.reason


def test_nor_does_the_row_tell_the_photos_name(
    make_recording: Callable[..., Path], tmp_path: Path, out: Path, fake_instruments: Instruments
) -> None:
    photo = tmp_path / "Marie Curie.jpg"
    photo.write_text("no picture")
    instruments = replace(fake_instruments, make_embedder=lambda: None)
    session = Session("P1", "S1", make_recording("a.mp4", [(40, 40)]), patient_face=(photo,))
    (outcome,) = process([session], out, Settings(), instruments)
    assert outcome.reason == "the photo: can't be read as a picture; save it again as JPEG or PNG."


# --- again


def test_what_is_done_is_skipped_and_keeps_its_row(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    process(recordings[:2], out, Settings(), fake_instruments)
    kept = recordings[0].timeline_path(out), out / "status.parquet"
    before = [path.stat().st_mtime_ns for path in kept]
    process(recordings[:2], out, Settings(), fake_instruments)
    assert [path.stat().st_mtime_ns for path in kept] == before
    outcomes = process(recordings, out, Settings(), fake_instruments)
    assert [outcome.state for outcome in outcomes] == ["skipped", "skipped", "done"]
    assert kept[0].stat().st_mtime_ns == before[0]
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}


def test_overwrite_makes_it_anew_and_replaces_its_row(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    process(recordings[:1], out, Settings(), fake_instruments)
    process(recordings[:1], out, Settings(sample_fps=10), fake_instruments, overwrite=True)
    assert len(read_timeline(recordings[0].timeline_path(out)).rows) == 10
    assert read_status(out).height == 1


def test_what_failed_is_tried_again_and_its_row_replaced(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    whole = recordings[0].video.read_bytes()
    recordings[0].video.write_bytes(b"")
    process(recordings[:1], out, Settings(), fake_instruments)
    recordings[0].video.write_bytes(whole)
    process(recordings[:1], out, Settings(), fake_instruments)
    assert states(out) == {"S1": "done"}


def test_a_link_in_the_folder_is_not_written_through(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    out.mkdir()
    elsewhere = out.parent / "elsewhere"
    (out / ".writable").symlink_to(elsewhere)
    process(recordings[:1], out, Settings(), fake_instruments)
    assert not elsewhere.exists()


def test_consent_that_is_given_later_counts(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    without = replace(recordings[0], consent=False)
    for _ in range(2):
        (outcome,) = process([without], out, Settings(), fake_instruments)
        assert (outcome.state, outcome.reason) == ("no_consent", "")
        assert not without.timeline_path(out).exists()
    process([replace(recordings[0], consent=True)], out, Settings(), fake_instruments)
    assert states(out) == {"S1": "done"}


def test_the_status_can_be_read_while_it_is_replaced(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    """Files of two sizes: of a mixture of both nothing can be read."""
    (outcome,) = process(recordings[:1], out, Settings(), fake_instruments)
    texts = [str(np.random.default_rng(n).bytes(4000 * n)) for n in (1, 2)]
    writer = Thread(target=lambda: [record(out, replace(outcome, reason=text)) for text in texts * 100])
    writer.start()
    while writer.is_alive():
        assert read_status(out).height == 1


def test_ctrl_c_leaves_a_folder_that_can_be_gone_on_with(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    calls = 0

    def detect(images):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return fake_instruments.detect(images)

    with pytest.raises(KeyboardInterrupt):
        process(recordings, out, Settings(), replace(fake_instruments, detect=detect))
    # the second had not shown progress yet
    assert states(out) == {"S1": "done", "S2": "waiting", "S3": "waiting"}
    assert not partial_files(out)
    assert not recordings[1].timeline_path(out).exists()
    outcomes = process(recordings, out, Settings(), fake_instruments)
    assert [outcome.state for outcome in outcomes] == ["skipped", "done", "done"]


def test_ctrl_c_while_writing_leaves_no_partial_file(
    recordings: Sessions, out: Path, fake_instruments: Instruments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(table, where, **options):
        Path(where).write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.store.timeline.pq.write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process(recordings, out, Settings(), fake_instruments)
    assert not partial_files(out)
    assert [path.name for path in out.rglob("*.parquet")] == ["status.parquet"]


# --- the folder


def test_everything_is_its_owner_s(recordings: Sessions, out: Path, fake_instruments: Instruments) -> None:
    process(recordings[:1], out, Settings(), fake_instruments)
    modes = {path.relative_to(out).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*")}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {mode for path, mode in modes.items() if (out / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (out / path).is_file()} == {0o600}
    assert set(modes) >= {
        "timelines/patient_id=P1/S1.parquet",
        "faces/patient_id=P1/S1.parquet",
        "status.parquet",
        "logs/P1/S1.log",
    }


def never(images):
    raise AssertionError("work was begun")


@pytest.mark.parametrize("kind", ["a file", "below a file", "below /proc"])
def test_a_folder_that_can_t_be_written_to_is_refused_before_any_work(
    recordings: list[Session], tmp_path: Path, fake_instruments: Instruments, kind: str
) -> None:
    (tmp_path / "file").touch()
    out = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "out",
        "below /proc": Path("/proc/out"),
    }[kind]
    with pytest.raises(OutputError, match="--out"):
        process(recordings, out, Settings(), replace(fake_instruments, detect=never))


def test_a_file_where_a_timeline_s_folder_should_be_fails_by_name(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    out.mkdir()
    (out / "timelines").touch()
    (outcome,) = process(recordings[:1], out, Settings(), fake_instruments)
    assert outcome.state == "failed"
    assert "timelines" in outcome.reason
    assert "unexpected" not in outcome.reason
    assert not partial_files(out)


@pytest.mark.parametrize("damage", ["damaged", ""])
def test_a_damaged_status_is_written_again_from_the_timelines(
    recordings: Sessions, out: Path, fake_instruments: Instruments, damage: str
) -> None:
    process(recordings, out, Settings(), fake_instruments)
    before = read_status(out)
    (out / "status.parquet").write_text(damage)
    told = ["patient_id", "session_id", "state", "coverage", "seconds_lost", "video_s", "fingerprint"]
    assert read_status(out).select(told).equals(before.select(told))
    outcomes = process(recordings, out, Settings(), replace(fake_instruments, detect=never))
    assert [outcome.state for outcome in outcomes] == ["skipped"] * 3
    known = [*told, "videos", "video_stamp", "video_sha256"]
    assert pl.read_parquet(out / "status.parquet").select(known).equals(before.select(known))


def test_a_damaged_status_of_no_session_is_written_again(out: Path, fake_instruments: Instruments) -> None:
    out.mkdir()
    (out / "status.parquet").write_text("damaged")
    assert process([], out, Settings(), fake_instruments) == []
    assert pl.read_parquet(out / "status.parquet").is_empty()


def test_a_lost_status_of_a_damaged_timeline_waits_for_the_next_run(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    process(recordings[:1], out, Settings(), fake_instruments)
    recordings[0].timeline_path(out).write_text("damaged")
    (out / "status.parquet").unlink()
    assert states(out) == {"S1": "waiting"}
    (outcome,) = process(recordings[:1], out, Settings(), fake_instruments)
    assert outcome.state == "done"


# --- how they stand


def test_while_a_run_is_at_work_its_status_says_so(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    seen: dict[str, dict[str, str]] = {}

    def look(session: Session, done: int, total: int) -> None:
        seen.setdefault(session.session_id, states(out))
        assert is_held(out)

    engine = in_this_process(fake_instruments)
    process_sessions(recordings, out, Settings(), engine, "0" * 64, on_session=look)
    assert seen["S1"] == {"S1": "running", "S2": "waiting", "S3": "waiting"}
    assert seen["S3"] == {"S1": "done", "S2": "done", "S3": "running"}
    assert not is_held(out)
    assert states(out) == dict.fromkeys(("S1", "S2", "S3"), "done")


def test_a_run_that_was_killed_shows_and_is_done_again(
    recordings: Sessions, out: Path, fake_instruments: Instruments
) -> None:
    engine = in_this_process(fake_instruments)
    process_sessions(recordings, out, Settings(), engine, "0" * 64)
    changed = Settings(sample_fps=2)

    def die(session: Session, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_sessions(recordings, out, changed, engine, "0" * 64, on_session=die)
    assert overview(out, running=False)["state"].to_list() == ["interrupted", "waiting", "waiting"]
    outcomes = process_sessions(recordings, out, changed, engine, "0" * 64)
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    for session in recordings:
        assert read_timeline(session.timeline_path(out)).metadata["settings"]["sample_fps"] == 2


# --- what is not the video's fault


def test_a_video_that_was_away_for_a_while_is_tried_again(
    recordings: Sessions, out: Path, fake_instruments: Instruments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.processing.stages.STRETCH_S", 0.4)
    video, away = recordings[0].video, recordings[0].video.with_name("away")
    engine = in_this_process(fake_instruments)

    def take_away(session: Session, done: int, total: int) -> None:
        if video.exists():
            os.utime(video, ns=(1, 1))
            video.rename(away)

    (outcome,) = process_sessions(
        recordings[:1], out, Settings(), engine, "0" * 64, on_session=take_away, overwrite=True
    )
    assert (outcome.state, outcome.lasting) == ("failed", False)
    assert "not found" in outcome.reason or "No such file" in outcome.reason
    away.rename(video)
    (outcome,) = process_sessions(recordings[:1], out, Settings(), engine, "0" * 64)
    assert outcome.state == "done"


def test_a_disk_that_is_full_fails_with_its_reason_and_leaves_nothing_half_written(
    recordings: Sessions, out: Path, fake_instruments: Instruments, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = in_this_process(fake_instruments)

    def full(table: object, where: Path, **options: object) -> None:
        Path(where).write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.store.timeline.pq.write_table", full)
        outcomes = process_sessions(recordings, out, Settings(), engine, "0" * 64)
    assert {outcome.state for outcome in outcomes} == {"failed"}
    assert all("No space left on device" in outcome.reason for outcome in outcomes)
    assert not any(outcome.lasting for outcome in outcomes)
    assert not partial_files(out)
    outcomes = process_sessions(recordings, out, Settings(), engine, "0" * 64)
    assert {outcome.state for outcome in outcomes} == {"done"}
