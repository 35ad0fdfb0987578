"""store.encryption: encrypted results are not readable without the key."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from roles import confirm_everybody
from videos import encode, with_faces

from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.identity.gallery import StoredFaces, gallery_path, write_gallery
from pipeline.identity.roles import roles_path
from pipeline.privacy.purge import purge
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.encryption import is_encrypted, key_file, seal, unseal, use_key, use_no_key, write_key
from pipeline.store.parquet import read_table, write_table
from pipeline.store.timeline import check_key, read_timeline, unencrypted_tables
from reports import own_text, write_reports


@pytest.fixture(autouse=True)
def no_key_is_left() -> Iterator[None]:
    yield
    use_no_key()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "study.key")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session("P1", "S1", encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 30, rate=10))


def process(session: Session, out: Path, networks: Networks) -> str:
    engine = in_this_process(networks)
    (outcome,) = process_sessions([session], out, Settings(), engine, "0" * 64)
    return outcome.state


def test_a_key_is_new_private_and_never_overwritten(tmp_path: Path, key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    assert write_key(tmp_path / "other.key").read_text() != key.read_text()
    with pytest.raises(OutputError, match=r"study\.key: exists already"):
        write_key(key)


@pytest.mark.parametrize("content", [b"", b"hunter2", b"AAAA\n", b"\xff\xfe", b"A" * 64])
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.key").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.key: "):
        use_key(tmp_path / "bad.key")
    with pytest.raises(InputError, match=r"none\.key: can't be read as a key"):
        use_key(tmp_path / "none.key")


def test_all_that_holds_numbers_is_encrypted_and_read_back_with_the_key(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    out = tmp_path / "out"
    assert process(session, tmp_path / "open", fake_networks) == "done"
    use_key(key)
    assert process(session, out, fake_networks) == "done"
    confirm_everybody(out)
    files = [path for path in out.rglob("*.parquet") if path.name != "status.parquet"]
    assert {path.relative_to(out).parts[0] for path in files} == {"timelines", "faces", "roles"}
    assert all(is_encrypted(path) for path in files)
    assert not any(b"p_happy" in path.read_bytes() or b"a.mp4" in path.read_bytes() for path in files)
    plain = read_timeline(session.timeline_path(tmp_path / "open")).rows
    assert read_timeline(session.timeline_path(out)).rows.equals(plain)
    (out / "patients.csv").write_text("patient_id;age\nP1;80\n")
    assert write_reports(out).exists()
    assert {path.name for path in (out / "summaries").glob("c*s.parquet") if is_encrypted(path)} == {
        f"{name}.parquet" for name in ("characteristics", "conditions", "covariates")
    }
    with pytest.raises((pl.exceptions.PolarsError, OSError)):
        pl.read_parquet(session.timeline_path(out))


def test_without_the_key_or_with_another_there_is_one_clear_line(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    out = tmp_path / "out"
    use_key(key)
    process(session, out, fake_networks)
    use_key(write_key(tmp_path / "other.key"))
    with pytest.raises(TimelineError, match=r"S1\.parquet: is encrypted with another key; give"):
        read_timeline(session.timeline_path(out))
    use_no_key()
    for read in (read_timeline, lambda _: process(session, out, fake_networks)):
        with pytest.raises(InputError, match=r"S1\.parquet: is encrypted; give its key with --key"):
            read(session.timeline_path(out))
    use_key(key)
    assert process(session, out, fake_networks) == "skipped"


def test_what_was_open_is_made_anew_when_a_key_is_given(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    process(session, tmp_path / "out", fake_networks)
    use_key(key)
    assert process(session, tmp_path / "out", fake_networks) == "done"
    assert is_encrypted(session.timeline_path(tmp_path / "out"))
    assert is_encrypted(session.faces_path(tmp_path / "out"))


def test_one_encrypted_timeline_among_open_ones_is_enough_to_ask_for_the_key(tmp_path: Path) -> None:
    paths = [tmp_path / "timelines" / "patient_id=P1" / f"S{number}.parquet" for number in range(5)]
    paths[0].parent.mkdir(parents=True)
    (paths[0].parent / "S9.parquet").symlink_to("nowhere")
    for encrypted in paths:
        for path in paths:
            path.write_bytes(b"PARE" if path == encrypted else b"PAR1")
        with pytest.raises(InputError, match=f"{encrypted.name}: is encrypted; give its key"):
            check_key(tmp_path)


def test_what_is_left_open_is_known_and_roles_are_encrypted_with_their_session(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    out, other = tmp_path / "out", replace(session, patient_id="P2")
    for one in (session, other):
        process(one, out, fake_networks)
    confirm_everybody(out)
    write_gallery(out, session.ids, StoredFaces(np.ones((3, 4), np.float32), "network", "hand", 0.5))
    said = read_table(roles_path(out, *session.ids))
    assert unencrypted_tables(out) == []
    use_key(key)
    assert process(session, out, fake_networks) == "done"
    assert is_encrypted(roles_path(out, *session.ids))
    assert is_encrypted(gallery_path(out, *session.ids))
    assert read_table(roles_path(out, *session.ids)).equals(said)
    assert unencrypted_tables(out) == [
        other.timeline_path(out),
        other.faces_path(out),
        roles_path(out, *other.ids),
    ]


def test_a_notebook_reads_with_the_key_that_its_environment_names(
    tmp_path: Path,
    key: Path,
    session: Session,
    fake_networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_key(key)
    process(session, tmp_path / "out", fake_networks)
    use_no_key()
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(key))
    assert len(read_timeline(session.timeline_path(tmp_path / "out")).rows)


def test_a_command_without_key_keeps_the_environment_s(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(key))
    use_key(None)
    assert key_file() == key
    assert b"numbers" not in seal(b"numbers")


def test_a_key_that_is_given_goes_before_the_environment_s(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(write_key(tmp_path / "other.key")))
    use_key(key)
    assert key_file() == key


def test_a_wrong_file_in_the_environment_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONEXT_KEY_FILE", str(tmp_path / "nowhere.key"))
    with pytest.raises(InputError, match=r"nowhere\.key: can't be read as a key"):
        use_key(None)


def test_unfinished_stretches_are_sealed(tmp_path: Path, key: Path) -> None:
    assert unseal(seal(b"numbers")) == b"numbers"
    use_key(key)
    sealed = seal(b"numbers")
    assert b"numbers" not in sealed
    assert seal(b"numbers") != sealed, "a nonce is used once"
    assert unseal(sealed) == b"numbers"
    with pytest.raises(ValueError, match="another key"):
        unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    use_key(write_key(tmp_path / "other.key"))
    with pytest.raises(ValueError, match="another key"):
        unseal(sealed)


def test_a_purge_needs_the_key_before_it_deletes_anything(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    out = tmp_path / "out"
    use_key(key)
    for patient in ("P1", "P2"):
        process(replace(session, patient_id=patient), out, fake_networks)
    use_no_key()
    with pytest.raises(InputError, match="is encrypted; give its key"):
        purge(out, "P1", None, write_reports)
    assert session.timeline_path(out).exists()
    use_key(key)
    assert purge(out, "P1", None, write_reports).counts["timelines"] == 1
    assert not session.timeline_path(out).exists()
    assert read_timeline(replace(session, patient_id="P2").timeline_path(out))


def test_a_purge_looks_into_what_is_encrypted(
    tmp_path: Path, key: Path, session: Session, fake_networks: Networks
) -> None:
    out, old = tmp_path / "out", tmp_path / "out" / "old"
    other = old / "b.parquet"
    # encrypted bytes and the wrapped key are random, and now and then hold the two letters
    for number in itertools.count():
        use_key(write_key(tmp_path / f"other{number}.key"))
        write_table(other, pa.table({"patient_id": ["P2"]}), {})
        if b"P1" not in other.read_bytes():
            break
    use_key(key)
    for patient in ("P1", "P2"):
        process(replace(session, patient_id=patient), out, fake_networks)
    shutil.copy(session.timeline_path(out), old / "a.parquet")
    write_table(old / "both.parquet", pa.table({"patient_id": ["P1", "P2"]}), {})
    write_table(old / "video.parquet", pa.table({"n": [1]}), {"video": "P1_P2_S1.mp4"})
    assert purge(out, "P1", None, write_reports, own_text()).mentions == (
        "old/b.parquet (can't be read: encrypted, and not with the key in use)",
        "old/video.parquet",
    )
    assert not (old / "a.parquet").exists()
    assert read_table(old / "both.parquet")["patient_id"].to_pylist() == ["P2"]
    assert is_encrypted(old / "both.parquet")
    assert not is_encrypted(out / "status.parquet")
