"""commands: `preflight`, of a recording and of a folder."""

import shutil
from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, assert_one_line_naming


def test_preflight_tells_what_to_change_and_leaves_nothing(
    emonext: Emonext, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = emonext("preflight", clips / "single_face.mp4")
    assert (ended.code, ended.err) == (DONE, "")
    assert "12 pictures checked, from 0:00 to 0:02" in ended.out
    assert ended.out.splitlines()[-1] == "This set-up will work, but could be better."
    assert "If somebody spoke in this recording" in " ".join(ended.out.split())
    assert not list(tmp_path.iterdir())


def test_preflight_ends_with_1_where_it_will_not_work(emonext: Emonext, without_face: Path) -> None:
    ended = emonext("preflight", without_face)
    assert ended.code == INCOMPLETE
    assert "nearly black" in ended.out
    assert ended.out.splitlines()[-1] == "This set-up will not work as it is."


def test_preflight_s_pictures_are_made_on_request_and_announced(
    emonext: Emonext, clips: Path, tmp_path: Path
) -> None:
    ended = emonext("preflight", clips / "single_face.mp4", "--pictures", tmp_path / "seen")
    assert "they show faces" in ended.out
    assert len(list((tmp_path / "seen").iterdir())) == 8


def test_preflight_of_what_is_no_video(emonext: Emonext, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    ended = emonext("preflight", tmp_path / "notes.mp4")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "notes.mp4")


@pytest.fixture
def folder(clips: Path, without_face: Path, tmp_path: Path) -> Path:
    """Recordings of P1: S1 is good, S2 shows no face, S3 is no video."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(clips / "single_face.mp4", folder / "P1_S1.mp4")
    shutil.copy(without_face, folder / "P1_S2.mp4")
    (folder / "P1_S3.mp4").write_text("no video")
    return folder


def test_preflight_of_a_folder_names_the_worst_first(emonext: Emonext, folder: Path) -> None:
    ended = emonext("preflight", folder)
    assert (ended.code, ended.err) == (INCOMPLETE, "")
    verdicts = [line for line in ended.out.splitlines() if line.endswith(".mp4")]
    assert verdicts == ["can't be read: P1_S3.mp4", "will not work: P1_S2.mp4", "could be better: P1_S1.mp4"]
    assert ended.out.splitlines()[0] == f"{folder}: 3 recordings checked, the worst first"
    assert (
        ended.out.splitlines()[-1] == "1 recording can't be read, 1 recording will not work, "
        "1 recording could be better"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["P1_S1.mp4", "P1_S2.mp4", "P1_S3.mp4"]


def test_preflight_does_not_open_what_has_no_consent(emonext: Emonext, folder: Path) -> None:
    lines = "patient_id;session_id;video;consent", "P1;S1;P1_S1.mp4;yes", "P1;S2;P1_S2.mp4;no"
    (folder / "sessions.csv").write_text("\n".join((*lines, "P1;S3;P1_S3.mp4;no")))
    ended = emonext("preflight", folder)
    assert ended.code == DONE
    assert "not opened, because a list states no consent: 2 recordings" in ended.err
    assert "could be better: P1_S1.mp4" in ended.out
    refused = emonext("preflight", folder / "P1_S2.mp4")
    assert refused.code == BAD_INPUT
    assert_one_line_naming(refused, "P1_S2.mp4")


def test_preflight_writes_the_page_on_request(emonext: Emonext, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "recordings.html"
    ended = emonext("preflight", folder, "--page", page, "--lang", "fr")
    assert f"Page: {page} (shows faces" in ended.out
    text = page.read_text("utf-8")
    assert "3 enregistrements" in text.replace("\u202f", " ")
    assert text.count("data:image/jpeg") == 2
    assert page.stat().st_mode & 0o077 == 0


def test_a_page_states_consent_where_a_list_states_none_yet(
    emonext: Emonext, folder: Path, tmp_path: Path
) -> None:
    """After `study init`, nothing may be opened; the page asks for the consent."""
    assert emonext("study", "init", folder).code == DONE
    assert emonext("preflight", folder).code == BAD_INPUT
    ended = emonext("preflight", folder, "--page", tmp_path / "recordings.html")
    assert ended.code == DONE
    assert ended.out.splitlines()[0] == f"{folder}: 0 recordings checked, the worst first"
    text = (tmp_path / "recordings.html").read_text("utf-8")
    assert "3 recordings: 3 were not opened." in text
    assert "data:image/jpeg" not in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--page", "trial.mp4"), "give a name that ends with .html"),
        (("--page", "a.html", "--lang", "de"), "--lang de"),
        (("--lang", "fr"), "--lang: only valid with --page"),
    ],
)
def test_preflight_refuses_a_page_that_is_none(
    emonext: Emonext, video: Path, options: tuple[str, ...], named: str
) -> None:
    ended = emonext("preflight", video, *options)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, named)
