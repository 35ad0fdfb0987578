"""The annotated copy: its sound, its ribbon, and what makes a new one necessary."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from looks import LOOK
from numpy.typing import NDArray
from timelines import make_timeline
from videos import encode, first_pictures, with_faces

from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.review.annotated_video import (
    CopyOptions,
    Material,
    is_current,
    open_material,
    options_of_copy,
    write_copy,
)
from pipeline.review.copy_sound import sound_of
from pipeline.review.drawing import samples_of
from pipeline.review.ribbon import columns_of
from pipeline.store.timeline import Timeline
from pipeline.video.container import probe
from pipeline.video.recording import open_recording

RATE = 44_100


def with_sound(path: Path, beeps_s: Iterable[float], seconds: float = 4.0, late_s: float = 0.0) -> Path:
    """A face at ten pictures per second; a beep lasts 0.1 s. The sound begins ``late_s`` after it."""
    tone = np.zeros(round(RATE * (seconds - late_s)), np.float32)
    for begin_s in beeps_s:
        at = round(RATE * (begin_s - late_s))
        tone[at : at + RATE // 10] = 0.5 * np.sin(2 * np.pi * 880 * np.arange(RATE // 10) / RATE)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=10)
        picture.width, picture.height, picture.pix_fmt = 320, 180, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(round(10 * seconds)):
            frame = av.VideoFrame.from_ndarray(with_faces([(40, 60)]))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(picture.encode(frame))
        heard = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = RATE, round(late_s * RATE), Fraction(1, RATE)
        container.mux([*sound.encode(heard), *sound.encode(None)])
        container.mux(picture.encode(None))
    return path


def beeps(path: Path) -> list[float]:
    """When the beeps of a file begin, s on the clock of its pictures."""
    with av.open(str(path)) as container:
        begun_s = [
            float(frame.time) + np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)[0] / frame.sample_rate
            for frame in container.decode(audio=0)
            if np.abs(frame.to_ndarray()[0]).max() > 0.1
        ]
    return [at_s for at_s, before_s in zip(begun_s, [-9.0, *begun_s], strict=False) if at_s - before_s > 0.2]


def still(path: Path) -> Path:
    """Two seconds of a face, without sound."""
    return encode(path, [with_faces([(40, 60)])] * 20, rate=10)


def processed(tmp_path: Path, networks: Networks, *videos: Path, **given: object) -> Material:
    session = Session("P1", "S1", videos[0], tuple(videos[1:]), patient_region=(0.0, 0.0, 1.0, 1.0), **given)  # type: ignore[arg-type]
    process_session(session, tmp_path / "out", Settings(), networks)
    return open_material(tmp_path / "out", "P1", "S1", videos)


# --- sound


def test_the_sound_of_several_files_fits_their_pictures(tmp_path: Path, fake_networks: Networks) -> None:
    one = with_sound(tmp_path / "one.mp4", [1.0, 3.0])
    two = with_sound(tmp_path / "two.mp4", [2.0], late_s=0.7)
    material = processed(tmp_path, fake_networks, one, two)
    second_s = material.recording.starts[1][0]
    assert beeps(one) == pytest.approx([1.0, 3.0], abs=0.03), "the test's own files"
    write_copy(material, tmp_path / "copy.mp4", LOOK, CopyOptions(sound=True))
    assert beeps(tmp_path / "copy.mp4") == pytest.approx([1.0, 3.0, second_s + 2.0], abs=0.03)
    assert probe(tmp_path / "copy.mp4").time_s[0] == 0
    assert options_of_copy(tmp_path / "copy.mp4", material.timeline) == CopyOptions(sound=True)


def test_what_does_not_count_is_not_heard(tmp_path: Path, fake_networks: Networks) -> None:
    video = with_sound(tmp_path / "a.mp4", [0.5, 1.5, 2.5, 3.5])
    material = processed(tmp_path, fake_networks, video, start_s=1.0, exclude=((2.0, 3.0),))
    write_copy(material, tmp_path / "copy.mp4", LOOK, CopyOptions(sound=True))
    assert beeps(tmp_path / "copy.mp4") == pytest.approx([1.5, 3.5], abs=0.03)


def test_by_default_and_without_sound_nothing_is_heard(tmp_path: Path, fake_networks: Networks) -> None:
    material = processed(tmp_path, fake_networks, with_sound(tmp_path / "a.mp4", [1.0]))
    write_copy(material, tmp_path / "copy.mp4", LOOK)
    silent = processed(tmp_path, fake_networks, still(tmp_path / "b.mp4"))
    write_copy(silent, tmp_path / "silent.mp4", LOOK, CopyOptions(sound=True))
    for path in (tmp_path / "copy.mp4", tmp_path / "silent.mp4"):
        with av.open(str(path)) as container:
            assert [stream.type for stream in container.streams] == ["video"]
    assert options_of_copy(tmp_path / "silent.mp4", silent.timeline) == CopyOptions()
    assert is_current(tmp_path / "silent.mp4", silent.timeline, CopyOptions(sound=True))


def test_sound_is_read_in_pieces_without_a_gap(tmp_path: Path) -> None:
    recording = open_recording([with_sound(tmp_path / "a.mp4", [2.5], late_s=2.0)])
    pieces = list(sound_of(recording, [(0.0, 4.0)]))
    assert max(map(len, pieces)) <= 48_000
    whole = np.concatenate(pieces)
    assert len(whole) / 48_000 == pytest.approx(4.0, abs=0.05)
    assert np.flatnonzero(np.abs(whole) > 0.1)[0] / 48_000 == pytest.approx(2.5, abs=0.03)


# --- when a copy is current


def test_a_copy_is_current_for_its_options_its_timeline_and_its_program(
    tmp_path: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = processed(tmp_path, fake_networks, still(tmp_path / "a.mp4"))
    path, timeline = tmp_path / "copy.mp4", material.timeline
    assert not is_current(path, timeline, CopyOptions())
    write_copy(material, path, LOOK)
    assert is_current(path, timeline, CopyOptions())
    for options in (
        CopyOptions("all"),
        CopyOptions(sound=True),
        CopyOptions(ribbon=True),
        CopyOptions(language="fr"),
    ):
        assert not is_current(path, timeline, options), options
    corrected = Timeline(timeline.rows.with_columns(track=pl.lit(7, pl.Int32)), timeline.metadata)
    assert not is_current(path, corrected, CopyOptions())
    assert options_of_copy(path, corrected) is None, "another face may be the patient's now"
    monkeypatch.setattr("pipeline.review.annotated_video.version", lambda name: "9.9")
    assert not is_current(path, timeline, CopyOptions())
    assert options_of_copy(path, timeline) == CopyOptions(), "it can still be played"


# --- the ribbon


def test_a_column_shows_the_largest_emotion_of_its_time_or_why_there_is_none() -> None:
    timeline = make_timeline([("happy", 10), ("no_face", 10), ("sad", 10), ("eyes_shut", 10)])
    samples = samples_of(timeline, LOOK)
    columns = columns_of(timeline, samples, LOOK, 10.0, 100)
    names = list(LOOK.words)
    expected = [names.index("happy")] * 20 + [-1] * 20 + [names.index("sad")] * 20 + [-2] * 20 + [-3] * 20
    assert columns.emotion.tolist() == expected
    share = timeline.rows["p_happy"][0]
    assert columns.height[:20] == pytest.approx(share, abs=1e-6)
    few = columns_of(timeline, samples, LOOK, 10.0, 5)
    assert few.emotion.tolist() == [names.index("happy"), -1, names.index("sad"), -2, -3]


def test_the_ribbon_has_the_reports_colours_and_a_cursor(tmp_path: Path, fake_networks: Networks) -> None:
    """Happy for 2 s (a light face), then nobody."""
    drawn = [with_faces([(40, 60)])] * 20 + [with_faces([])] * 20
    material = processed(tmp_path, fake_networks, encode(tmp_path / "a.mp4", drawn, rate=10))
    name = str(material.timeline.rows["emotion"].drop_nulls()[0])
    write_copy(material, tmp_path / "copy.mp4", LOOK, CopyOptions(ribbon=True))
    shown = first_pictures(tmp_path / "copy.mp4", 99)
    assert len(shown) == 40
    panel = shown[35][180:].astype(int)
    colour = np.array([int(LOOK.colours[name][at : at + 2], 16) for at in (1, 3, 5)])
    like = (np.abs(panel - colour).max(axis=2) < 40).sum(axis=0)
    half = panel.shape[1] // 2
    assert (like[30 : half - 30] > 8).all(), "the first half"
    assert (like[half + 30 : -30] == 0).all()
    # the cursor is the highest dark line: it moves from left to right
    assert [cursor(picture) for picture in (shown[10], shown[20], shown[30])] == pytest.approx(
        [0.25, 0.5, 0.75], abs=0.02
    )


def cursor(picture: NDArray[np.uint8]) -> float:
    """Where the cursor is, as a share of the ribbon."""
    dark = (picture[180:].max(axis=2) < 80).sum(axis=0)
    margin = 15
    return float(np.flatnonzero(dark == dark.max()).mean() - margin) / (picture.shape[1] - 2 * margin)


def test_a_face_that_is_absent_is_named(tmp_path: Path) -> None:
    timeline = make_timeline([("happy", 2), ("no_face", 2), ("low_quality", 2), ("eyes_shut", 2)])
    said = samples_of(timeline, LOOK).text
    assert said[0].startswith("happy ")
    assert [text.split(":")[0] for text in said[2::2]] == ["no face", "not readable", "eyes closed"]
