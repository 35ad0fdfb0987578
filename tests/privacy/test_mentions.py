"""privacy.mentions: every mention of a patient is found, and nothing by chance."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from purging import Process, do_purge, paths_with
from videos import encode, with_faces

from pipeline.privacy.mentions import IdPattern, mentions
from pipeline.privacy.purge import plan_purge
from pipeline.store.encryption import seal, write_key
from reports import own_text

# --- links


def test_no_link_is_followed_out_of_the_folder(out: Path, process: Process, tmp_path: Path) -> None:
    process("P012/S01", "P013/S01")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "S09.parquet").write_text("P012")
    (outside / "P012.csv").write_text("patient_id\nP012\n")
    (outside / "empty").mkdir()
    (out / "timelines/patient_id=P012/link.parquet").symlink_to(outside / "S09.parquet")
    (out / "faces/patient_id=P012/folder").symlink_to(outside)
    (out / "review").symlink_to(outside)
    (out / "people.csv").symlink_to(outside / "P012.csv")
    (out / "recordings").symlink_to(outside)
    found = do_purge(out, "P012")
    assert sorted(path.name for path in outside.iterdir()) == ["P012.csv", "S09.parquet", "empty"]
    assert (outside / "P012.csv").read_text() == "patient_id\nP012\n"
    assert not (out / "timelines/patient_id=P012").exists()
    assert not (out / "faces/patient_id=P012").exists()
    assert found.mentions == (
        "review (a link out of the folder: search its target yourself)",
        "people.csv (where it leads to)",
    )


def test_the_folder_itself_may_be_a_link(out: Path, process: Process, tmp_path: Path) -> None:
    process("P012/S01")
    (tmp_path / "link").symlink_to(out)
    assert do_purge(tmp_path / "link", "P012").mentions == ()
    assert paths_with(out, "P012") == []


# --- what is left


@pytest.mark.parametrize(
    "content",
    [
        b"a P012 b",
        b"\0\1P012\2",
        "P012".encode("utf-16"),
        "x;P012;y".encode("utf-16-le"),
        "x;P012;y".encode("utf-16-be"),
        "P012".encode("utf-32"),
        gzip.compress(b"P012_S01", mtime=0),
        b"\x1f\x8bP012",
        b"PAR1 P012",
        b"PK\3\4 P012",
        "é-P012-é".encode(),
        b"x" * 5_000_000 + b" P012",
    ],
)
def test_what_still_mentions_them_is_named(out: Path, process: Process, content: bytes) -> None:
    process("P012/S01", "P013/S01")
    (out / "left").write_bytes(content)
    assert do_purge(out, "P012").mentions == ("left",)


def test_packed_tables_are_looked_into(out: Path, tmp_path: Path) -> None:
    words = IdPattern("P012", None, {})
    names = [f"P{number:03}" for number in range(100)]
    path = tmp_path / "a.parquet"
    pl.DataFrame({"who": pl.Series(names, dtype=pl.Categorical), "n": range(100)}).write_parquet(path)
    assert mentions(path, words)
    pl.DataFrame({"who": [["P011"], ["P012", "P013"]]}).write_parquet(path)
    assert mentions(path, words)
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata({"video": "P012_S01.mp4"}), path)
    assert mentions(path, words)
    pl.DataFrame({"who": ["P011", "P0123"]}).write_parquet(path)
    assert not mentions(path, words)
    np.savez_compressed(tmp_path / "a.npz", who=np.array(names))
    assert mentions(tmp_path / "a.npz", words)


def test_a_short_id_is_not_found_by_chance_in_pictures_sound_and_numbers(
    tmp_path: Path, make_recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = b"\0 7 \0"
    recording = make_recording("recording.mp4", [(40, 60)])
    (tmp_path / "a.mp4").write_bytes(recording.read_bytes() + chance)
    (tmp_path / "b.MKV").write_bytes(b"no video" + chance)
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff" + chance)
    np.savez(tmp_path / "d.npz", numbers=np.frombuffer(chance, np.uint8))
    (tmp_path / "e.html").write_text(
        '<img src="data:image/jpeg;base64,ab+7/cd=="> {"bdata":"ab+7/cd==", "dtype": "f8"}'
    )
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(write_key(tmp_path / "study.key")))
    packed = io.BytesIO()
    np.savez(packed, numbers=np.frombuffer(64 * chance, np.uint8))
    (tmp_path / "f.npz").write_bytes(seal(packed.getvalue()))
    words = IdPattern("7", None, {"7": set()})
    assert [name for name in "abcdef" if mentions(next(tmp_path.glob(f"{name}.*")), words)] == []
    (tmp_path / "e.html").write_text("<p>patient 7, data:image/jpeg;base64,ab+7/cd==</p>")
    assert mentions(tmp_path / "e.html", words)


def test_what_a_video_says_of_itself_is_searched(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [with_faces([])] * 5, rate=10)
    titled = tmp_path / "titled.mkv"
    with av.open(str(path)) as old, av.open(str(titled), "w") as new:
        new.metadata["title"] = "P012 sings"
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    words = IdPattern("P012", None, {"P012": set()})
    assert mentions(titled, words)
    assert not mentions(path, words)


def test_what_can_t_be_read_is_named(out: Path, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process("P012/S01", "P013/S01")
    (out / "locked").write_text("x")
    opened = Path.open

    def refuse(path: Path, *args: object, **options: object) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert do_purge(out, "P012").mentions == ("locked (can't be read: Permission denied)",)


def test_the_program_s_own_scripts_are_about_nobody(out: Path, process: Process) -> None:
    """Plotly has variables called P1 and S1."""
    process("P1/S1", "P2/S1")
    assert b"P1" in (out / "reports/P2/S1.html").read_bytes()
    pages = {page.relative_to(out).as_posix() for page in plan_purge(out, "P1", None, own_text()).pages}
    assert {page for page in pages if page.startswith("reports/")} == {
        "reports/index.html",
        "reports/made.json",
        "reports/study.html",
    }
    assert do_purge(out, "P1").mentions == ()


# --- notebooks


def notebook(tmp_path: Path, data: dict[str, object], source: str = "x") -> Path:
    cell = {
        "cell_type": "code",
        "source": [source],
        "outputs": [{"output_type": "display_data", "data": data}],
    }
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    return path


KNOWN = {"P012": {"S01", "S02"}, "P013": {"S01"}}


@pytest.mark.parametrize(
    "data",
    [
        {"text/plain": ["shape: (1, 2)\n", "│ P012 ┆ S01 │"]},
        {"text/plain": "patient\nP012 S01"},
        {"text/html": "<td>&quot;P012&quot;</td><td>&quot;S01&quot;</td>"},
        {"text/html": ["<td>P012</td>\n", "      <td>S01</td>\n"]},
        {"application/vnd.plotly.v1+json": {"data": [{"x": [1], "text": ["P012", "S01"]}]}},
    ],
)
def test_an_id_in_the_output_of_a_notebook_is_found(data: dict[str, object], tmp_path: Path) -> None:
    path = notebook(tmp_path, data)
    assert mentions(path, IdPattern("P012", None, KNOWN))
    assert mentions(path, IdPattern("P012", "S01", KNOWN))
    assert not mentions(path, IdPattern("P012", "S02", KNOWN))
    assert not mentions(path, IdPattern("P013", None, KNOWN))


@pytest.mark.parametrize(
    "data",
    [
        {"image/png": "iVBORw0KGgo+P012+/AAAA=\n"},
        {"application/vnd.plotly.v1+json": {"data": [{"y": {"dtype": "f8", "bdata": "AAAA/P012/AAA="}}]}},
        {"text/html": '<img src="data:image/png;base64,AAAA/P012/AAA=">'},
    ],
)
def test_data_of_a_notebook_holds_no_id_by_chance(data: dict[str, object], tmp_path: Path) -> None:
    assert not mentions(notebook(tmp_path, data), IdPattern("P012", None, KNOWN))


def test_a_damaged_notebook_is_searched_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": [{"source": "P012')
    assert mentions(path, IdPattern("P012", None, KNOWN))


def test_a_purge_names_notebooks_beside_the_study(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    (out / "notebooks" / ".ipynb_checkpoints").mkdir(parents=True)
    notebook(out / "notebooks", {"text/plain": "\nP012"})
    notebook(out / "notebooks" / ".ipynb_checkpoints", {"text/plain": "\nP012"})
    places = "notebooks/.ipynb_checkpoints/a.ipynb", "notebooks/a.ipynb"
    assert sorted(do_purge(out, "P012").mentions) == sorted(places)
    assert do_purge(out, "P013").mentions == ()
