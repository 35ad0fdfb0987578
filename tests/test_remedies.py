"""What a message advises is done as it says, and then it works."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import remedies_of_commands  # noqa: F401
import remedies_of_lists  # noqa: F401
import remedies_of_weights  # noqa: F401
from remedies import TABLE, Kit, Remedy, pattern_of
from videos import encode, with_faces

import cli
import reports
from emonext.weight_files import verify_weights
from pipeline.encryption import use_no_key
from pipeline.jobs import in_this_process
from pipeline.session import Instruments


class ByLight:
    """Tells people apart by how light their faces are."""

    name, same_person = "by-light", 0.1

    def __call__(self, chips):
        return (chips.mean(axis=(1, 2, 3), keepdims=False)[:, None] / 255).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def fast(fake_instruments: Instruments, small_weights: Path) -> Iterator[None]:
    weights = {**fake_instruments.weights, "sha256": verify_weights(small_weights)}
    engine = in_this_process(replace(fake_instruments, weights=weights, make_embedder=ByLight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_on_this_machine", lambda make, jobs, sessions: engine)
        patch.setattr(reports, "update_reports", lambda out, on_progress: None)
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4", [with_faces([(40, 40)])] * 20, rate=10)


@pytest.fixture
def make_kit(clip, small_weights, monkeypatch, capfd):
    def make(folder, processed):
        folder.mkdir(exist_ok=True)
        return Kit(folder, processed, clip, small_weights, monkeypatch, capfd, ByLight())

    yield make
    use_no_key()


@pytest.fixture(scope="module")
def once() -> dict[str, Path]:
    return {}


@pytest.fixture
def kit(make_kit, tmp_path: Path, once, tmp_path_factory) -> Kit:
    if "out" not in once:
        made = make_kit(tmp_path_factory.mktemp("processed"), Path())
        assert made.process(made.video("P1_S1.mp4"), made.video("P2_S1.mp4")).code == 0
        once["out"] = made.out
    return make_kit(tmp_path / "a study", once["out"])


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_what_a_message_advises_works(entry: Remedy, kit: Kit) -> None:
    message = pattern_of(entry.messages[0])
    said, *after = entry.carry_out(kit)
    assert message.search(said.text), said
    assert after
    for ended in after:
        assert ended.code == 0, ended
        assert not message.search(ended.text), ended
