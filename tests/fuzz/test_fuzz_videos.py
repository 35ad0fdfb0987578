"""Hostile videos."""

import struct
from collections import Counter
from pathlib import Path

import pytest
from fuzzing import EDITS, INTS, MINUTES, NASTY, Fuzz, contained
from hostile import Contained, Edit, edited, read_video
from hypothesis import strategies as st
from videos import encode, numbered

from pipeline.errors import PipelineError
from pipeline.video.container import probe

pytestmark = pytest.mark.fuzz

# --- videos


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Small real ones: (suffix, content)."""
    folder = tmp_path_factory.mktemp("films")
    kinds = [
        (".mp4", "libx264"),
        (".mkv", "libx264"),
        (".avi", "mpeg4"),
        (".webm", "libvpx"),
        (".mp4", "mpeg4"),
    ]
    return [
        (
            suffix,
            encode(folder / f"{n}{suffix}", numbered(12, 128, 64), codec=codec, rate=10, gop=4).read_bytes(),
        )
        for n, (suffix, codec) in enumerate(kinds)
    ]


BOXES = [
    "moov",
    "trak",
    "mvhd",
    "tkhd",
    "mdhd",
    "hdlr",
    "stsd",
    "stts",
    "ctts",
    "stss",
    "stsc",
    "stsz",
    "stco",
    "elst",
    "dref",
    "vmhd",
    "ftyp",
]


def box(name: str, place: int, number: int) -> Edit:
    """A number in an MP4's header, four bytes long."""
    return "box", place, (name, struct.pack(">I", number % 2**32))


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

FILMS_SEEDS: list[tuple[int, list[Edit]]] = [
    *((film, [("cut", place, None)]) for film in range(5) for place in (0, 1, 50, 600, -600, -1)),
    *((film, []) for film in range(5)),
    # a picture of 65535 × 65535, in the track and in the codec's description
    *(
        (film, [box("tkhd", 76, 65535 << 16), box("tkhd", 80, 65535 << 16), box("stsd", 40, 2**32 - 1)])
        for film in (0, 4)
    ),
    *((film, [box("stsd", 40, number)]) for film in (0, 4) for number in (128 << 16, 0, 1 << 16 | 65535)),
    # pictures of another size than the header's
    (0, [box("moov", 44, 0)]),
    # one pixel wide, and narrower than it is stored
    (3, [("set", 445, b"\x00\x00\x00\x00")]),
    # 10⁹ frames; of no length, of the greatest, at negative times
    (0, [box("stsz", 8, 10**9)]),
    (0, [box("stsz", 4, 1), box("stsz", 8, 10**9), box("stts", 8, 10**9), box("stsc", 12, 10**9)]),
    (0, [box("stsz", 4, 1), box("stsz", 8, 10**7), box("stts", 8, 10**7), box("stsc", 12, 10**7)]),
    (0, [box("stts", 8, 10**9)]),
    (0, [box("stts", 12, 2**32 - 1)]),
    (0, [box("stts", 12, 2**31 - 1)]),
    (0, [box("stts", 12, 0)]),
    (0, [box("mdhd", 12, 0)]),
    (0, [box("mdhd", 12, 2**32 - 1)]),
    (0, [box("mvhd", 12, 0)]),
    (0, [box("ctts", 8, 2**31)]),
    (0, [box("elst", 12, 2**32 - 1)]),
    (0, [box("elst", 8, 2**32 - 1)]),
    (0, [box("stco", 8, 2**32 - 1)]),
    (0, [box("stco", 8, 0)]),
    (0, [("swap", 1, 2)]),
]


def test_videos_with_lying_headers(
    fuzz: Fuzz, films: list[tuple[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: Counter[str] = Counter()

    for read in contained(read_video, capsys):

        def check(altered: tuple[int, list[Edit]], read: Contained = read) -> None:
            suffix, content = films[altered[0]]
            path = tmp_path / f"P1_S1{suffix}"
            path.write_bytes(edited(content, altered[1]))
            ends[read(path)] += 1

        in_boxes = st.builds(box, st.sampled_from(BOXES), st.integers(0, 120), st.sampled_from(INTS))
        aligned = st.builds(
            box, st.sampled_from(BOXES), st.integers(0, 25).map(lambda n: 4 * n), st.sampled_from(INTS)
        )
        swaps = st.tuples(st.just("swap"), st.integers(0, 30), st.integers(0, 30))
        mp4 = st.tuples(
            st.sampled_from([0, 4]), st.lists(st.one_of(aligned, in_boxes, swaps), min_size=1, max_size=4)
        )
        heads = st.lists(st.tuples(st.just("set"), st.integers(0, 700), NASTY), min_size=1, max_size=4)
        any_film = st.tuples(st.integers(0, 4), st.one_of(EDITS, heads))
        fuzz(check, st.one_of(mp4, any_film), *FILMS_SEEDS, few=20)
    if MINUTES:
        with capsys.disabled():
            print(dict(ends.most_common()))  # noqa: T201


def test_a_text_that_names_other_files_is_no_video(tmp_path: Path) -> None:
    """FFmpeg takes playlists for videos, and would open what they name."""
    other = encode(tmp_path / "other.mp4", numbered(12))
    for number, text in enumerate(
        (
            PLAYLIST,
            b"ffconcat version 1.0\nfile other.mp4\n",
            b"#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
            b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
            b"<Representation><BaseURL>other.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\n"
            b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        )
    ):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(text)
        with pytest.raises(PipelineError, match=path.name):
            probe(path)
    assert other.exists()
