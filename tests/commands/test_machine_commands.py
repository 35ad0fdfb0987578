"""commands: `demo` and `bench`."""

import json
import os
from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, Emonext, assert_one_line_naming
from PIL import Image
from videos import remux


def test_the_demo_names_what_it_made(
    emonext: Emonext, tmp_path: Path, model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage", reason="the demo needs scikit-image")
    monkeypatch.setattr("pipeline.checks.demo_video.LENGTH_S", 1)
    out = tmp_path / "demo"
    ended = emonext("demo", "--out", out, *model)
    assert (ended.code, ended.err) == (DONE, "")
    for path in (out / "timelines/patient_id=DEMO/S01.parquet", out / "reports/index.html"):
        assert str(path) in ended.out
        assert path.is_file()


def test_bench_measures_every_stage(emonext: Emonext, video: Path, model: list[str]) -> None:
    ended = emonext("bench", video, *model)
    assert (ended.code, ended.err) == (DONE, "")
    stages = ("waiting", "detection", "tracking", "classification")
    for name in ("decoding alone", *stages, "end to end", "peak memory"):
        assert name in ended.out
    assert "baseline" not in ended.out


@pytest.mark.slow
def test_bench_writes_every_figure(emonext: Emonext, clips: Path, model: list[str], tmp_path: Path) -> None:
    path = remux(clips / "single_face.mp4", tmp_path / "a.mp4", seconds=1)
    files = ("--json", tmp_path / "bench.json", "--picture", tmp_path / "bench.png")
    ended = emonext("bench", path, *model, "--baseline", *files)
    assert (ended.code, ended.err) == (DONE, "")
    assert "baseline faces" in ended.out
    told = json.loads((tmp_path / "bench.json").read_text())
    speeds = {"end_to_end_fps", "decode_fps", "ratio_to_baseline", "ratio_to_decode", "peak_rss_mb"}
    assert all(told[name] > 0 for name in speeds)
    assert told["baseline_faces"] == told["samples"] == 5
    assert told["face_recall"] == 1
    assert 0.8 < told["mean_iou"] <= 1
    assert "emotion_agreement" in told
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.format == "PNG"


def test_bench_tells_nothing_of_faces_where_there_are_none(
    emonext: Emonext, without_face: Path, model: list[str], tmp_path: Path
) -> None:
    ended = emonext("bench", without_face, *model, "--baseline", "--json", tmp_path / "bench.json")
    assert (ended.code, ended.err) == (DONE, "")
    assert "baseline faces" not in ended.out
    assert "baseline emotions" not in ended.out
    told = json.loads((tmp_path / "bench.json").read_text())
    assert [told[name] for name in ("face_recall", "mean_iou", "emotion_agreement")] == [None] * 3
    assert (told["baseline_faces"], told["ms_per_sample_by_faces"]) == (0, {})


def test_bench_of_what_is_no_video_is_told(emonext: Emonext, model: list[str], tmp_path: Path) -> None:
    ended = emonext("bench", tmp_path / "gone.mp4", *model, "--json", tmp_path / "bench.json")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "gone.mp4")
    assert not list(tmp_path.iterdir())


class FakeJupyter:
    """Answers Ctrl-C itself, then ends."""

    def __init__(self, command: list[str]) -> None:
        self.interrupts = iter([KeyboardInterrupt])
        STARTED.append((command, os.environ.get("EMONEXT_KEY_FILE")))

    def __enter__(self) -> "FakeJupyter":
        return self

    def __exit__(self, *exception: object) -> None: ...

    def wait(self) -> int:
        for interrupt in self.interrupts:
            raise interrupt
        return DONE


STARTED: list[tuple[list[str], str | None]] = []


def test_notebooks_are_copied_and_opened(
    emonext: Emonext, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.commands.machine.import_module", lambda name: None)
    monkeypatch.setattr("pipeline.commands.machine.subprocess.Popen", FakeJupyter)
    STARTED.clear()
    monkeypatch.chdir(tmp_path)
    assert emonext("key", "k.key").code == DONE
    monkeypatch.setenv("EMONEXT_KEY_FILE", "k.key")
    ended = emonext("notebooks", two.name)
    assert (ended.code, ended.err) == (DONE, "")
    ((command, key),) = STARTED
    assert command[-2:] == ["jupyterlab", str(two / "notebooks")]
    assert key == str(tmp_path / "k.key"), "notebooks have another working folder"
    assert len([*(two / "notebooks").glob("*.ipynb")]) == 5
    assert "notebooks" in emonext("audit", "show", two).out


def test_without_jupyterlab_one_line_says_how_to_install_it(
    emonext: Emonext, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("pipeline.commands.machine.import_module", missing)
    ended = emonext("notebooks", two)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "This needs jupyterlab: pip install")
    assert "[notebooks]" in ended.err
    path = two / "notebooks" / "1_first_look.ipynb"
    path.write_text("{}")
    ended = emonext("notebooks", two, "--no-open")
    assert (ended.code, ended.err) == (DONE, "")
    assert f"{path}: kept as it is, and differs from the original" in ended.out
