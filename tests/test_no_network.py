"""No process of a whole job opens a network connection."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

GUARD = '''
"""Imported by every Python that is started: no connection, no name looked up, and a note that it was here."""
import os, pathlib, socket, sys

(pathlib.Path(os.environ["GUARDED"]) / str(os.getpid())).write_text(" ".join(sys.orig_argv))


def forbidden(*arguments, **options):
    raise RuntimeError("the network is forbidden")


class Local(socket.socket):
    """Between processes of this machine; a socket that is given by its number has been made already."""

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        if fileno is None and family != socket.AF_UNIX:
            forbidden()
        super().__init__(family, type, proto, fileno)


socket.socket = socket.SocketType = Local
for name in ("create_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    setattr(socket, name, forbidden)
'''

ASK_FROM_A_WORKER = """
import urllib.request
from multiprocessing import get_context

def ask():
    urllib.request.urlopen("http://127.0.0.1:9/")

if __name__ == "__main__":
    process = get_context("spawn").Process(target=ask)
    process.start()
    process.join()
    raise SystemExit(process.exitcode)
"""


ONE_BY_ONE = """
import json, sys
import cli

if __name__ == "__main__":
    for command in json.loads(sys.argv[1]):
        sys.argv = ["emonext", *command]
        try:
            cli.main()
        except SystemExit as ended:
            if ended.code:
                sys.exit(f"{command}: {ended.code}")
        print("ENDED", command)
"""
"""Commands in one process, whose imports take most of the time."""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python has no network."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guarded").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), str(ROOT)]),
        "GUARDED": str(tmp_path / "guarded"),
        # nothing comes from a cache that a machine without one would have fetched
        "HF_HOME": str(tmp_path / "cache"),
        "TORCH_HOME": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def run(
    command: Sequence[object], environment: dict[str, str], before: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*before, sys.executable, *map(str, command)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def whole_job(recordings: Path, out: Path, model: Path) -> list[list[object]]:
    """Every command that a study needs, in order."""
    return [
        ["doctor"],
        ["info", recordings / "P1_S1.mp4"],
        ["preflight", recordings / "P1_S1.mp4"],
        ["process", recordings, "--out", out, "--model", model, "--device", "cpu", "--jobs", "2"],
        ["study", "init", recordings],  # a folder with a list is processed by it
        ["report", out],
        ["status", out],
        ["people", out],
        ["audit", "show", out],
        ["purge", out, "--patient", "P1", "--yes"],
        ["review", out, "P2", "S1"],
        ["audit", "verify", out],
    ]


@pytest.fixture
def recordings(clips: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "P1_S1.mp4").symlink_to(clips / "single_face.mp4")
    # another recording: of the same one a purge would say so
    (folder / "P2_S1.mp4").write_bytes((clips / "single_face.mp4").read_bytes() + b"\0\0\0\x08free")
    return folder


@pytest.fixture
def alone() -> list[str]:
    """What stands before a command for which the system takes the network away; nothing where it can't."""
    before = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    asked = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    assert "Network is unreachable" in run(["-c", asked], dict(os.environ), before).stderr
    return before


@pytest.mark.slow
def test_the_whole_job_needs_no_network(
    recordings: Path, small_weights: Path, guarded: dict[str, str], alone: list[str], tmp_path: Path
) -> None:
    """Also what is not Python, as FFmpeg and torch, where the system takes the network away."""
    job = [list(map(str, command)) for command in whole_job(recordings, tmp_path / "out", small_weights)]
    ended = run(["-c", ONE_BY_ONE, json.dumps(job)], guarded, alone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("ENDED") == len(job)
    assert (tmp_path / "out/reports/P2/S1.html").is_file()
    processes = [note.read_text() for note in Path(guarded["GUARDED"]).iterdir()]
    assert sum("spawn_main" in command for command in processes) >= 2, "the guard was in the workers too"


def test_the_guard_stops_what_would_use_the_network(guarded: dict[str, str], tmp_path: Path) -> None:
    for asked in (
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_INET6)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
    ):
        ended = run(["-c", asked], guarded)
        assert ended.returncode == 1
        assert "the network is forbidden" in ended.stderr, asked
    (tmp_path / "ask.py").write_text(ASK_FROM_A_WORKER)
    ended = run([tmp_path / "ask.py"], guarded)
    assert ended.returncode == 1
    assert "the network is forbidden" in ended.stderr
    local = "import socket; a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'"
    assert run(["-c", local], guarded).returncode == 0


@pytest.mark.slow
def test_a_command_of_ours_that_fetches_fails_under_the_guard(
    guarded: dict[str, str], tmp_path: Path
) -> None:
    """The one that does: ImageNet's weights to begin a training with."""
    asked = """
from emonext.model import ARCHITECTURES, EmoNeXt
from emonext.training import starting
starting._imagenet(EmoNeXt(ARCHITECTURES["atto"]))
"""
    ended = run(["-c", asked], guarded)
    assert ended.returncode == 1
    assert "can't be fetched" in ended.stderr
    assert "the network is forbidden" in ended.stderr
