"""processing.other_sessions: a patient's sessions that show somebody else are not done."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from batches import process, states
from coloured_people import BLUE, LEFT, RED, ByColour, seated
from videos import encode

from pipeline.processing.session import Networks, Session, Settings
from pipeline.review.apply_people import apply_people
from pipeline.store.paths import faces_path
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import read_faces, read_timeline

SEAT = (0.0, 0.0, 0.5, 1.0)

Run = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings of one person each."""
    folder = tmp_path_factory.mktemp("seen")
    return {
        name: encode(folder / f"{name}.mp4", [seated((LEFT, colour))] * 20, rate=10, options={"crf": "5"})
        for name, colour in {"red": RED, "blue": BLUE}.items()
    }


@pytest.fixture
def run(seen: dict[str, Path], out: Path, fake_networks: Networks) -> Run:
    """Process sessions of P1 that show red or blue."""

    def processed(embedder: bool = True, region: bool = False, **sessions: str) -> list[Outcome]:
        networks = replace(fake_networks, make_embedder=ByColour) if embedder else fake_networks
        listed = [
            Session("P1", name, seen[who], patient_region=SEAT if region else None)
            for name, who in sessions.items()
        ]
        return process(listed, out, Settings(), networks)

    return processed


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("region", [False, True])
def test_a_session_of_somebody_else_is_to_check(run: Run, out: Path, region: bool) -> None:
    """The only face, and the only face in the seat, is the carer's."""
    outcomes = run(S1="red", S2="blue", S3="red", region=region)
    assert [(o.state, o.identity) for o in outcomes] == [
        ("done", "recognised"),
        ("to_check", "to_check"),
        ("done", "recognised"),
    ]
    assert outcomes[1].reason == (
        "it is not certain that this is the patient: the face is unlike the patient's in S1, S3: one of them "
        "may be somebody else"
    )
    assert outcomes == list(read_outcomes(out).values())


def test_without_a_majority_every_session_is_to_check(run: Run, out: Path) -> None:
    run(S1="red")
    assert states(out) == {"S1": "done"}
    (outcome,) = run(S2="blue")
    assert "unlike the patient's in S1" in outcome.reason
    assert states(out) == {"S1": "to_check", "S2": "to_check"}, "also the earlier one"


def test_without_a_network_nothing_is_compared(run: Run, out: Path) -> None:
    run(embedder=False, S1="red", S2="blue")
    assert states(out) == {"S1": "done", "S2": "done"}
    assert not (out / "gallery").exists()


def test_later_sessions_decide_and_nothing_is_processed_again(run: Run, out: Path) -> None:
    run(S1="red", S2="blue")
    before = read_outcomes(out)["P1", "S1"]
    outcomes = run(S1="red", S2="blue", S3="red")
    assert [o.state for o in outcomes] == ["done", "to_check", "done"]
    assert "in S1, S3" in outcomes[1].reason
    assert outcomes[0].finished_at == before.finished_at
    assert [o.state for o in run(S1="red", S2="blue", S3="red")] == ["skipped"] * 3


def test_a_named_patient_decides(run: Run, out: Path) -> None:
    run(S1="red", S2="blue", S3="red")
    applied, others = apply_people(out, {("P1", "S2"): {1: "patient"}}, embed=ByColour())
    assert [o.session_id for o in applied] == ["S2"]
    assert [(o.session_id, o.state) for o in others] == [("S1", "to_check"), ("S3", "to_check")]
    assert states(out) == {"S1": "to_check", "S2": "done", "S3": "to_check"}
    # there is nobody else in these, but the expression of the only person is kept
    rows = read_timeline(out / "timelines/patient_id=P1/S1.parquet").rows
    assert rows["p_happy"].null_count() == 0
    assert read_faces(faces_path(out, "P1", "S1")).rows["p_happy"].null_count() == 0


def test_somebody_else_may_be_named(run: Run, out: Path) -> None:
    """The patient was ill, and only the carer is seen in S2: nothing is left to check."""
    run(S1="red", S2="blue", S3="red")
    apply_people(out, {("P1", "S2"): {1: "caregiver"}}, embed=ByColour())
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}
    assert sorted(path.stem for path in (out / "gallery").rglob("*.parquet")) == ["S1", "S3"]
    run(S1="red", S2="blue", S3="red")
    assert states(out) == {"S1": "done", "S2": "done", "S3": "done"}
