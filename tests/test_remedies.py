"""The advice of every message works."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
import remedies_of_adaptations
import remedies_of_commands
import remedies_of_consent
import remedies_of_lists
import remedies_of_markers
import remedies_of_patients
import remedies_of_plans
import remedies_of_ratings
import remedies_of_results
import remedies_of_reviews
import remedies_of_weights
from numpy.typing import NDArray
from remedies import ADVICE, TABLE, Kit, Remedy, pattern_of, texts
from videos import encode, with_faces

import reports
from emonext.weight_files import verify_weights
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks
from pipeline.store.encryption import use_no_key

AREAS = (
    remedies_of_commands,
    remedies_of_results,
    remedies_of_reviews,
    remedies_of_consent,
    remedies_of_lists,
    remedies_of_markers,
    remedies_of_plans,
    remedies_of_patients,
    remedies_of_ratings,
    remedies_of_weights,
    remedies_of_adaptations,
)

# Message, or a part of it → why nothing is carried out here.
EXCEPTIONS = {
    "Copy it again from the camera, or correct its place in the list.": "on a page: test_index_page",
    "If there is a better copy, put it in the recording’s place": "on a page: test_index_page",
    "Put right what the reason names, and process again": "on a page: test_index_page",
    "Then, for the copies of the videos: emonext review {}": "test_review_command draws them again",
    "was changed while it was read; the next run reads it again": "test_video_content runs again",
    "all pages, not with --one": "what an option is for",
    ": own offsets of {} are left out: they hold only in the folder": "a note: test_adapt_command",
    # another machine, or another program
    "; install the same versions.": "needs a second machine",
    ": no notebooks; install the program again.": "needs a damaged installation",
    ": a text is longer than Excel takes; export as csv.": "no column holds such a text: test_samples",
    ". Start one with `ray start`; this machine must": "a cluster: test_ray_cluster",
    "--engine ray: Ray can't be started on this machine": "no advice",
    "with `emonext weights convert`": "test_published converts one",
    "--init imagenet: no ImageNet weights for this architecture": "every --size has some",
    "InceptionResnetV1; give its state dict.": "100 MB, not ours",
    "fetch it again, or give the sha256 that its maker states": "test_embedding",
    "install {} 0.3.0 again": "needs a registry of packages",
    "identity needs: pip install": "needs a registry of packages; the extra exists",
    "ELAN files need {}: pip install": "needs a registry of packages; the extra exists",
    "Comparing with raters needs {}: pip install": "needs a registry; the extra exists",
    "This needs {}: pip install {}": "needs a registry of packages; the extras exist",
    "pip install {}": "needs a registry of packages; the extras exist",
    "--editable '{}[{}]'": "needs a registry of packages; the extras exist",
    # a camera, or somebody who knows
    "Clean the lens, focus on the face, and give more light": "needs a camera: test_preflight",
    "Film the patient alone, or give": "needs a camera: test_preflight",
    "Give each recording a file of its own": "needs a camera: test_preflight",
    "try another card, and copy the file again.": "needs a camera: test_preflight",
    "can be decoded; record it again.": "needs a camera: test_preflight",
    "{}: keep one region for a session.": "two people of one session: test_drawn_seats",
    "shows more than one person: give the session a photo of the patient": "real faces: test_people",
    "they come from different networks. Make the references again": "the library's; test_clustering",
    "is it the patient, and can the patient be seen? Look with `emonext people {}`.": "a person's decision",
    "the expression of this person was not stored; process the session again": "test_people processes it",
    "who gave no consent; make sure that the recording may be processed.": "a person's decision",
    "is nearly {} of row {}; make sure that both are correct.": "a person's decision",
    "copies of one recording; make sure that all are correct.": "a person's decision",
    "is a copy of {} of row {}; make sure that both rows are correct": "a person's decision",
    "keep a copy in a safe place; without the key the results cannot be read.": "about the future",
    "(shows faces: delete the page when the list is complete)": "any way of deleting will do",
    "they show faces: delete them after you have looked at them": "any way of deleting will do",
    "was not given: {} again, not {} as in the last tables.": "names what happened",
    "the log was replaced, or the head is of another folder": "names what may have happened",
    ": a run was cut off then, or is writing now": "names what may have happened",
    "Saved as {file}. Now run the command at the end of this page.": "a page: test_people_page_browser",
    "You can go on later, and save again.": "a page: test_preflight_page_browser",
    "Not saved: correct the marked field first.": "a page: test_preflight_page_browser",
    "To approve, say who the patient is, or who everybody is": "a page: test_people_page_browser",
    "it is not certain who the patient is; run `emonext people`": "a person's decision",
    "Put the tables that raters save into {}, then run: emonext agree {}": "a result: test_rate runs it",
    ": no table of rated clips; draw clips with `emonext rate {}`": "raters' answers: test_adapt_command",
    "stays in use ({}); to remove it: emonext summarize {} --adapt none": "a result: test_adapt_command",
    "Next: emonext process {} --out {}": "a result: test_events_command runs it",
    "Next: emonext report {}": "a result: test_events_command runs it",
    "Go to its end, mark it there, and save again.": "a page: test_player_browser",
    "Delete {word}, {span}": "a button of a page",
    "--clips {}: ": "another number: test_clip_sampling",
    "--seconds {}: ": "another number: test_clip_sampling",
    "--overlap {}: ": "another number: test_clip_sampling",
    "--rater {}: ": "another pseudonym: test_clip_sampling",
    "--adjust {}: ": "another column: test_covariates",
    # no advice, but like it
    "--format {}: no such format.": "refused before by the command",
    "(--baseline), so none is corrected": "a result: test_results_commands",
    "--engine ray": "part of a message: only valid with",
    "--format csv": "part of a message: only valid with",
    "Run `emonext demo --study` first, or set `EMONEXT_OUT`": "words of a notebook",
    "time that the sample stands for; add it up for shares of time": "what a column means",
    ": will be written again": "a result",
    "; run the same command to continue.": "runs for minutes: test_batch and test_training continue runs",
    "Delete this data of {}? This can't be undone.": "a question",
    "`emonext purge {} --patient {} --session {}`": "part of two messages, whose commands are run",
    "{} --out DIR": "part of three messages, whose commands are run",
    "summarize --multiverse": "part of a message, whose command is run",
    "emonext faces 1": "the first words of a file",
    "its name in scales.toml": "what a column means",
    "# Name no patient in it: `emonext purge` does not change a plan.": "a comment in a file",
    "What people leave out by hand, as in the list (end_s, exclude); may stay empty.": "a comment in a file",
    "Stored of everybody (--score-everyone): {}.": "a fact",
    "from the results folder: make it again after every change of the results.": "about the future",
}


class ByLight:
    """Tells people apart by how light their faces are."""

    name, same_person, perhaps = "by-light", 0.1, 0.2

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        light: NDArray[np.float32] = chips.mean(axis=(1, 2, 3), dtype=np.float32)[:, None] / 255
        return light


@pytest.fixture(scope="module", autouse=True)
def _quick(fake_networks: Networks, small_weights: Path) -> Iterator[None]:
    """Sessions are processed in this process, by plain functions; only `report` makes pages."""
    weights = {**fake_networks.weights, "sha256": verify_weights(small_weights)}
    engine = in_this_process(replace(fake_networks, weights=weights, make_embedder=ByLight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pipeline.commands.process._on_this_machine", lambda make, jobs, device, sessions: engine
        )
        patch.setattr("pipeline.commands.review.make_embedder", lambda network: ByLight())
        patch.setattr(reports, "update_reports", lambda out, on_progress, find_video: None)
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4", [with_faces([(40, 40)])] * 20, rate=10)


MakeKit = Callable[[Path, Path], Kit]


@pytest.fixture
def make_kit(
    clip: Path, small_weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[MakeKit]:
    def make(folder: Path, processed: Path) -> Kit:
        folder.mkdir(exist_ok=True)
        return Kit(folder, processed, clip, small_weights, monkeypatch, capfd)

    yield make
    use_no_key()


@pytest.fixture(scope="module")
def processed() -> dict[str, Path]:
    """The folder that the first test makes, under ``out``."""
    return {}


@pytest.fixture
def kit(
    make_kit: MakeKit,
    tmp_path: Path,
    processed: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Kit:
    if not processed:
        made = make_kit(tmp_path_factory.mktemp("processed"), Path())
        assert made.process(made.video("P1_S1.mp4"), made.video("P2_S1.mp4")).code == 0
        processed["out"] = made.out
    return make_kit(tmp_path / "a study", processed["out"])


@pytest.mark.slow
@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_what_a_message_advises_works(entry: Remedy, kit: Kit) -> None:
    message = pattern_of(entry.messages[0])
    said, *after = entry.carry_out(kit)
    assert message.search(said.text), said
    assert after
    for ended in after:
        assert ended.code == 0, ended
        assert not message.search(ended.text), ended


def test_every_message_that_advises_something_is_in_the_table() -> None:
    entries = [message for entry in TABLE for message in entry.messages]
    advising = {text for text in texts() if ADVICE.search(text) and " " in text}
    assert len(advising) > 150
    missing = [
        found for found in advising if not any(message in found for message in (*entries, *EXCEPTIONS))
    ]
    assert sorted(missing) == []


def test_every_message_of_the_table_is_the_program_s() -> None:
    entries = [*(message for entry in TABLE for message in entry.messages), *EXCEPTIONS]
    assert [message for message in entries if not any(message in found for found in texts())] == []


def test_every_case_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(entry.name for entry in TABLE).items() if count > 1] == []
    assert all(AREAS)


def test_extras_that_messages_name_exist() -> None:
    extras = metadata("emonext-care").get_all("Provides-Extra") or []
    named = {extra for text in texts() for extra in re.findall(r"emonext-care\[([a-z]+)\]", text)}
    assert named == {"agreement", "identity"}
    assert named <= set(extras)
