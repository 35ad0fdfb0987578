"""reasons: a code and values, their English sentence, and their JSON."""

import ast
import itertools
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NotEnoughError, VideoError
from pipeline.reasons import (
    RESULT_TEXTS,
    TEXTS,
    Reason,
    free_text,
    from_sentence,
    read_reason,
    sentence,
    write_reason,
)

PIPELINE = Path(__file__).parents[1] / "pipeline"


def test_a_reason_is_a_sentence_in_english() -> None:
    far = Reason.of("nobody_near", person=2, far=0.614, most=0.5)
    assert sentence([Reason.of("not_recognised", reason=far), Reason.of("undecoded", seconds=1234.56)]) == (
        "the patient was not recognised: person 2 is 0.61 from the reference faces, and nobody nearer; "
        "one person is 0.50 at most; 1234.6 s of the video could not be decoded"
    )
    assert sentence([]) == ""
    assert str(free_text("50 % of %(x)s")) == "50 % of %(x)s"


@pytest.mark.parametrize(
    "reason",
    [
        None,
        Reason.of("no_face"),
        Reason.of("stalled", seconds=600),
        Reason.of("in_file", number=2, reason=Reason.of("late", seconds=1.0)),
        free_text("é <b> \n"),
    ],
)
def test_it_is_the_same_after_json(reason: Reason | None) -> None:
    assert read_reason(json.loads(json.dumps(write_reason(reason)))) == reason


def test_its_json_names_the_code_and_the_values() -> None:
    assert Reason.of("in_file", number=2, reason=Reason.of("late", seconds=1.5)).write() == {
        "code": "in_file",
        "number": 2,
        "reason": {"code": "late", "seconds": 1.5},
    }


@pytest.mark.parametrize(
    "stored",
    [
        *("no face was found", "", 1, [], {}, {"code": "unknown"}, {"code": 1}, {"code": ["no_face"]}),
        *({"code": "late"}, {"code": "late", "second": 1.0}, {"code": "late", "seconds": None}),
        *({"code": "late", "seconds": True}, {"code": "late", "seconds": [1.0]}),
        *({"code": "tried", "times": 2.5}, {"code": "in_file", "number": 1, "reason": {"code": "?"}}),
    ],
)
def test_what_is_no_reason_of_this_program_is_not_read(stored: Any) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError)):
        read_reason(stored)


def test_an_error_keeps_its_reason_in_another_process() -> None:
    error = VideoError.about(Path("a.mp4"), "empty_file")
    assert (str(error), error.reason) == ("a.mp4: the file is empty.", Reason.of("empty_file"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 — its own bytes
    assert (str(again), again.reason) == (str(error), error.reason)
    assert VideoError("a.mp4: not like that").reason is None


@pytest.mark.parametrize("code", RESULT_TEXTS)
def test_the_sentence_of_a_missing_result_tells_its_reason(code: str) -> None:
    names = re.findall(r"%\((\w+)\)s", RESULT_TEXTS[code])
    reason = Reason(code, dict(zip(names, map(str, range(2, 9)), strict=False)))
    assert from_sentence(str(reason)) == reason
    assert from_sentence(str(reason)).values == reason.values
    # names of columns and conditions, in which words of the sentence may stand
    odd = Reason(code, dict(zip(names, itertools.cycle(["a (b)", "of 3", "music, é"]), strict=False)))
    assert (from_sentence(str(odd)).code, str(from_sentence(str(odd)))) == (code, str(odd))


@pytest.mark.parametrize("text", ["", "too few", "too few sessions.", "a\nb", "%(x)s"])
def test_another_sentence_stays_as_it_is(text: str) -> None:
    assert from_sentence(text) == free_text(text)
    assert str(from_sentence(text)) == text


def test_an_error_without_a_file_keeps_its_reason() -> None:
    error = NotEnoughError.of("few_of_one", sessions=2)
    assert error.reason == Reason.of("few_of_one", sessions=2)
    assert str(error) == "fewer than 2 sessions of one of the conditions in which enough was seen"


def literals() -> Iterator[str]:
    for path in PIPELINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if path.name != "reasons.py" and isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_code_is_used() -> None:
    assert TEXTS.keys() - set(literals()) == set()


def calls() -> Iterator[tuple[str, set[str]]]:
    """Code and names of the values of each call that names all values."""
    for path in PIPELINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("Reason.of", "Error.about", "Error.of")
            ):
                code = node.args["about" in ast.unparse(node.func)] if node.args else None
                if isinstance(code, ast.Constant):
                    yield code.value, {str(keyword.arg) for keyword in node.keywords}


def test_every_call_gives_the_values_that_the_sentence_names() -> None:
    found = list(calls())
    assert len(found) > 40
    named = [(code, set(re.findall(r"%\((\w+)\)s", TEXTS[code]))) for code, _ in found]
    assert found == [(code, names) for code, names in named]
