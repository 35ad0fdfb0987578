"""commands.machine: `info` tells what of a video is damaged, and what it did not decode."""

import re
from pathlib import Path

import pytest
from command_line import DONE, Emonext
from videos import encode, numbered

RATE = 10


def info(emonext: Emonext, path: Path) -> str:
    ended = emonext("info", path)
    assert ended.code == DONE
    return re.sub(r"[\s│|]+", " ", ended.out)


def test_of_a_whole_file_no_damage_is_told(tmp_path: Path, emonext: Emonext) -> None:
    path = encode(tmp_path / "a.mp4", numbered(40), rate=RATE, gop=10)
    assert "damage none: all pictures were decoded notes none" in info(emonext, path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_damage_that_was_found_is_told(tmp_path: Path, emonext: Emonext, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    encode(path, numbered(40), rate=RATE, gop=10, damage=lambda number: number == 15)
    told = info(emonext, path)
    assert "damage found notes" in told
    assert re.search(r"notes .*(are damaged or can't|could not) be decoded", told)


def test_a_file_of_which_a_fifth_is_zeros_is_damaged(tmp_path: Path, emonext: Emonext) -> None:
    path = encode(tmp_path / "a.mp4", numbered(90), rate=RATE, gop=90, options={"bf": "0"})
    content = bytearray(path.read_bytes())
    fifth = len(content) // 5
    content[2 * fifth : 3 * fifth] = bytes(fifth)
    path.write_bytes(content)
    told = info(emonext, path)
    assert "damage found notes" in told
    assert "notes none" not in told


def test_what_was_not_decoded_is_told(
    tmp_path: Path, emonext: Emonext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.video.container._DECORD_BYTES", 0)
    path = tmp_path / "a.mp4"
    encode(path, numbered(90), rate=RATE, gop=10, damage=lambda number: number == 85)
    assert "damage not known: only 64 of 90 pictures were decoded" in info(emonext, path)
