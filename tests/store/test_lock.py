"""store.lock: two runs in one folder do no harm."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.store.lock import folder_lock

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from pipeline.store.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_and_told_who_holds_it(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    with (
        pytest.raises(OutputError, match=f"process {holder.pid} on .*, since 20") as refused,
        folder_lock(tmp_path),
    ):
        pass
    holder.kill()
    holder.wait()
    assert "\n" not in str(refused.value)


def test_what_a_killed_run_left_is_no_lock(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    with folder_lock(tmp_path):
        assert "process" in (tmp_path / ".lock").read_text()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("kept")
    (tmp_path / ".lock").symlink_to("diary.txt")
    with pytest.raises(OutputError, match=r"\.lock: can't be written"), folder_lock(tmp_path):
        pass
    assert (tmp_path / "diary.txt").read_text() == "kept"


def test_it_is_let_go_of_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass


def test_a_folder_that_can_t_be_written_to_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="make it a file that you may write to"),
        folder_lock(tmp_path / "nowhere"),
    ):
        pass
