"""What the tests of this room share."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from fuzzing import MINUTES, TARGETS, Fuzz
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Fuzz:
    """Checks each seed, then what hypothesis thinks up; in a long run for this target's share of the time."""

    def run(check: Callable[[Any], object], inputs: st.SearchStrategy[Any], *seeds: Any, few: int) -> None:
        tried, faults = 0, []
        for number, value in enumerate(seeds):
            try:
                check(value)
            except Exception as error:  # all of them are told, not the first alone
                error.add_note(f"seed {number}: {str(value)[:200]!r}")
                faults.append(error)
        if faults:
            raise ExceptionGroup(f"{len(faults)} of {len(seeds)} seeds", faults)

        ends = time.monotonic() + 60 * MINUTES / TARGETS

        def attempt(value: Any) -> None:
            nonlocal tried
            if not MINUTES or time.monotonic() < ends:
                tried += 1
                check(value)

        number = 0
        while number == 0 or time.monotonic() < ends:
            quiet = settings(
                derandomize=not MINUTES,
                max_examples=200 if MINUTES else few,
                deadline=None,
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if MINUTES else [])],
                suppress_health_check=list(HealthCheck),
            )
            one_round = quiet(given(inputs)(attempt))
            (seed(time.time_ns())(one_round) if MINUTES else one_round)()
            number += 1
        if MINUTES:
            with capsys.disabled():
                print(f"\n{request.node.name}: {len(seeds)} seeds, {tried} inputs")  # noqa: T201

    return run
