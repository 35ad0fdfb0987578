"""processing.batch: ids are checked and sessions planned before any work."""

import os
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.processing.batch import check_id, plan_sessions, process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.ids import NEW_ID_PATTERN, check_stored_id

# --- ids


@pytest.mark.parametrize("value", ["P012", "p", "0", "P-1_a.b", "a" * 64])
def test_a_pseudonym_is_taken(value: str) -> None:
    assert check_id("`patient_id`", value) == value


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
    with pytest.raises(InputError, match="`patient_id`"):
        check_id("`patient_id`", value)


DEVICES = [
    *("CON", "con", "Nul", "PRN", "aux", "COM1", "com9", "LPT1", "lpt0"),
    *("NUL.txt", "con.1", "P1.", "S1..", "0."),
]


@pytest.mark.parametrize("value", DEVICES)
def test_what_windows_can_t_store_is_refused_but_still_read(value: str) -> None:
    with pytest.raises(InputError, match=r"`session_id` .*Windows can't store .* such as (\S+)\.$") as raised:
        check_id("`session_id`", value)
    assert check_stored_id("`session_id`", value) == value
    other = str(raised.value).rpartition(" ")[2][:-1]
    assert check_id("`session_id`", other) == other
    assert not NEW_ID_PATTERN.fullmatch(value)


@pytest.mark.parametrize("value", ["CONS", "CON1", "P.CON", "NUL_1", "COM", "COM10", "LPT-1", "S.1", "aux-2"])
def test_names_like_those_of_windows_are_taken(value: str) -> None:
    assert check_id("`session_id`", value) == value


def test_every_way_of_giving_an_id_refuses_names_of_windows(tmp_path: Path) -> None:
    (video,) = touch(tmp_path / "in", "NUL_con.mp4")
    for patient, session in ((None, None), ("P1", "lpt1"), ("aux", "S1")):
        with pytest.raises(InputError, match="Windows can't store"):
            plan_sessions([video], patient, session)


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
    tmp_path: Path, relative: bool, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
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
        process_sessions([Session("P1", "S1", video)], out, Settings(), in_this_process(fake_networks), "")
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
        (["monday.mp4"], None, None, r"monday\.mp4.*`patient_id`"),
        (["monday.mp4"], None, "S1", r"monday\.mp4.*`patient_id`"),
        (["P1_S1.mp4", "P1_S1.mkv"], None, None, r"P1_S1\.mp4.*P1_S1\.mkv"),
        (["P1_S1.mp4", "P1_S2.mp4"], None, "S5", "`session_id` S5.*2 videos"),
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
