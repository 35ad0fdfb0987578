"""processing.batch: a failure becomes a row, other sessions continue, and no partial file stays."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import pytest
from batches import Sessions, partial_files, process, states
from coloured_people import ByColour
from videos import cut_off, remux, sound_only

from pipeline.processing.session import Networks, QualityLimits, Session, Settings
from pipeline.reasons import free_text
from pipeline.store.status import read_status, record
from pipeline.store.timeline import read_timeline


def test_no_sessions_leave_an_empty_status(out: Path, fake_networks: Networks) -> None:
    assert process([], out, Settings(), fake_networks) == []
    assert read_status(out).is_empty()


def test_every_session_is_a_row(recordings: Sessions, out: Path, fake_networks: Networks) -> None:
    outcomes = process(recordings, out, Settings(), fake_networks)
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


def test_progress_names_the_session(recordings: Sessions, out: Path, fake_networks: Networks) -> None:
    calls = []
    process(
        recordings[:2],
        out,
        Settings(),
        fake_networks,
        on_session=lambda s, d, t: calls.append((s.session_id, d, t)),
    )
    assert calls == [(name, done, 5) for name in ("S1", "S2") for done in range(1, 6)]


def test_a_session_that_fails_is_a_row_and_the_others_go_on(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    recordings[1].video.write_text("no video")
    outcomes = process(recordings, out, Settings(), fake_networks)
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert states(out) == {"S1": "done", "S2": "failed", "S3": "done"}
    failed = read_status(out).row(1, named=True)
    assert "can't be read as a video" in failed["reason"]
    assert (failed["coverage"], failed["seconds_lost"], failed["video_s"]) == (None, None, None)
    assert not recordings[1].timeline_path(out).exists()
    assert "P1_S2.mp4" in (out / "logs/P1/S2.log").read_text()


def test_an_unexpected_error_is_a_row_and_the_log_has_the_traceback(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    calls = iter([RuntimeError("out of memory on the GPU"), None, None])

    def detect(images):
        error = next(calls)
        if error:
            raise error
        return fake_networks.detect(images)

    outcomes = process(recordings, out, Settings(), replace(fake_networks, detect=detect))
    assert [outcome.state for outcome in outcomes] == ["failed", "done", "done"]
    assert "RuntimeError: out of memory on the GPU" in outcomes[0].reason
    assert "Traceback" in (out / "logs/P1/S1.log").read_text()
    assert not partial_files(out)


def test_a_video_cut_off_is_partial_with_the_seconds_lost(
    clips: Path, tmp_path: Path, out: Path, fake_networks: Networks
) -> None:
    whole = remux(
        clips / "single_face.mp4", tmp_path / "a.mp4", copies=4, container_options={"movflags": "faststart"}
    )
    session = Session("P1", "S1", cut_off(whole, tmp_path / "P1_S1.mp4", 0.5))
    (outcome,) = process([session], out, Settings(), fake_networks)
    assert outcome.state == "partial"
    assert outcome.seconds_lost > 2
    assert "could not be decoded" in outcome.reason
    assert states(out) == {"S1": "partial"}


def test_a_session_without_a_face_is_to_check(
    make_recording: Callable[..., Path], out: Path, fake_networks: Networks
) -> None:
    (outcome,) = process([Session("P1", "S1", make_recording("a.mp4", []))], out, Settings(), fake_networks)
    assert (outcome.state, outcome.coverage) == ("to_check", 0)
    assert "no face" in outcome.reason


def test_a_session_of_poor_pictures_is_to_check(
    make_recording: Callable[..., Path], out: Path, fake_networks: Networks
) -> None:
    session = Session("P1", "S1", make_recording("a.mp4", [(40, 40)]))
    settings = Settings(quality=QualityLimits(min_brightness=0.99))
    (outcome,) = process([session], out, settings, fake_networks)
    assert (outcome.state, outcome.coverage) == ("to_check", 0)
    assert outcome.reason == "the patient's face was found, but never well enough to be read"


@pytest.mark.parametrize(
    ("kind", "reason"), [("empty", "empty"), ("sound", "only audio"), ("missing", "not found")]
)
def test_what_is_no_video_fails_and_the_row_does_not_tell_its_name(
    tmp_path: Path, out: Path, fake_networks: Networks, kind: str, reason: str
) -> None:
    """A file can be named after a person; the row gets into the report."""
    path = tmp_path / "Marie Curie.mp4"
    if kind == "empty":
        path.touch()
    if kind == "sound":
        sound_only(path)
    (outcome,) = process([Session("P1", "S1", path)], out, Settings(), fake_networks)
    assert outcome.state == "failed"
    assert reason in outcome.reason
    assert "Marie" not in outcome.reason
    assert "\n" not in outcome.reason


def test_nor_does_the_row_tell_the_photos_name(
    make_recording: Callable[..., Path], tmp_path: Path, out: Path, fake_networks: Networks
) -> None:
    photo = tmp_path / "Marie Curie.jpg"
    photo.write_text("no picture")
    networks = replace(fake_networks, make_embedder=ByColour)
    session = Session("P1", "S1", make_recording("a.mp4", [(40, 40)]), patient_face=(photo,))
    (outcome,) = process([session], out, Settings(), networks)
    assert outcome.reason == "the photo: can't be read as a picture; save it again as JPEG or PNG."


# --- again


def test_what_is_done_is_skipped_and_keeps_its_row(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    process(recordings[:2], out, Settings(), fake_networks)
    kept = recordings[0].timeline_path(out), out / "status.parquet"
    before = [path.stat().st_mtime_ns for path in kept]
    process(recordings[:2], out, Settings(), fake_networks)
    assert [path.stat().st_mtime_ns for path in kept] == before
    outcomes = process(recordings, out, Settings(), fake_networks)
    assert [outcome.state for outcome in outcomes] == ["skipped", "skipped", "done"]
    assert kept[0].stat().st_mtime_ns == before[0]
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}


@pytest.mark.parametrize(
    ("settings", "state"), [(Settings(sample_fps=10), "done"), (Settings(batch_size=3), "skipped")]
)
def test_other_settings_are_a_reason_to_process_again_unless_they_change_the_speed_alone(
    recordings: Sessions, out: Path, fake_networks: Networks, settings: Settings, state: str
) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    (outcome,) = process(recordings[:1], out, settings, fake_networks)
    assert outcome.state == state


def test_overwrite_makes_it_anew_and_replaces_its_row(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    process(recordings[:1], out, Settings(), fake_networks)
    process(recordings[:1], out, Settings(sample_fps=10), fake_networks, overwrite=True)
    assert len(read_timeline(recordings[0].timeline_path(out)).rows) == 10
    assert read_status(out).height == 1


def test_what_failed_is_tried_again_and_its_row_replaced(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    whole = recordings[0].video.read_bytes()
    recordings[0].video.write_bytes(b"")
    process(recordings[:1], out, Settings(), fake_networks)
    recordings[0].video.write_bytes(whole)
    process(recordings[:1], out, Settings(), fake_networks)
    assert states(out) == {"S1": "done"}


def test_a_link_in_the_folder_is_not_written_through(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    out.mkdir()
    elsewhere = out.parent / "elsewhere"
    (out / ".writable").symlink_to(elsewhere)
    process(recordings[:1], out, Settings(), fake_networks)
    assert not elsewhere.exists()


def test_consent_that_is_given_later_counts(recordings: Sessions, out: Path, fake_networks: Networks) -> None:
    without = replace(recordings[0], consent=False)
    for _ in range(2):
        (outcome,) = process([without], out, Settings(), fake_networks)
        assert (outcome.state, outcome.reason) == ("no_consent", "")
        assert not without.timeline_path(out).exists()
    process([replace(recordings[0], consent=True)], out, Settings(), fake_networks)
    assert states(out) == {"S1": "done"}


def test_the_status_can_be_read_while_it_is_replaced(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    """Files of two sizes: of a mixture of both nothing can be read."""
    (outcome,) = process(recordings[:1], out, Settings(), fake_networks)
    texts = [free_text(np.random.default_rng(n).bytes(4000 * n)) for n in (1, 2)]
    writer = Thread(target=lambda: [record(out, replace(outcome, reasons=(text,))) for text in texts * 100])
    writer.start()
    while writer.is_alive():
        assert read_status(out).height == 1


def test_ctrl_c_leaves_a_folder_that_can_be_gone_on_with(
    recordings: Sessions, out: Path, fake_networks: Networks
) -> None:
    calls = 0

    def detect(images):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return fake_networks.detect(images)

    with pytest.raises(KeyboardInterrupt):
        process(recordings, out, Settings(), replace(fake_networks, detect=detect))
    # the second had not shown progress yet
    assert states(out) == {"S1": "done", "S2": "waiting", "S3": "waiting"}
    assert not partial_files(out)
    assert not recordings[1].timeline_path(out).exists()
    outcomes = process(recordings, out, Settings(), fake_networks)
    assert [outcome.state for outcome in outcomes] == ["skipped", "done", "done"]


def test_ctrl_c_while_writing_leaves_no_partial_file(
    recordings: Sessions, out: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(table, where, **options):
        Path(where).write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.store.timeline.pq.write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process(recordings, out, Settings(), fake_networks)
    assert not partial_files(out)
    assert [path.name for path in out.rglob("*.parquet")] == ["status.parquet"]
