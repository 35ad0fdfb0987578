"""Code maps, and unknown codes."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.exchange.code_map import LABELS, NONE, read_codes


@pytest.mark.parametrize("text", [None, ""])
def test_without_a_map_the_program_s_own_words_hold(text: str | None) -> None:
    codes = read_codes(text)
    assert {name: codes.label(name.upper()) for name in LABELS} == {name: name for name in LABELS}
    assert codes.label("smile") is None
    assert codes.uncoded == NONE


def test_a_typed_map() -> None:
    codes = read_codes("Smile=happy, cry = sad,talk=-,away=?,happy=neutral,none=neutral,a=b=fear")
    assert [codes.label(code) for code in ("smile", "CRY", "talk", "away", "happy", "a=b")] == [
        *("happy", "sad", "-", "?", "neutral", "fear")
    ]
    assert codes.uncoded == "neutral"


def test_an_accent_is_the_same_in_both_forms() -> None:
    """macOS and some programs store é as e and an accent."""
    composed, decomposed = "g\u00eane", "ge\u0302ne"
    for one, other in ((composed, decomposed), (decomposed, composed)):
        assert read_codes(f"{one}=sad").label(other) == "sad"


def test_a_map_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "codes.toml"
    path.write_text('[codes]\n"Smile" = "happy"\nnone = "neutral"\n')
    assert read_codes(str(path)).label("smile") == "happy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smile", "write CODE=LABEL"),
        ("=happy", "write CODE=LABEL"),
        ("smile=hapy,cry=sat", "'hapy' (nearest: happy), 'sat' (nearest: sad)"),
        ("smile=", "''"),
        ("none=-", "none="),
        ("smile=none", "none="),
        ("missing.toml", "missing.toml: no such file"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_codes(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["codes = 1", "[codes", "a = 1", "[codes]\nx.y = 'happy'"])
def test_a_file_that_is_no_map_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "codes.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"codes\.toml|`codes`"):
        read_codes(str(path))


def test_all_unknown_codes_are_named_at_once_with_the_nearest_known() -> None:
    with pytest.raises(InputError) as raised:
        read_codes(None).check([("hapy", "a.csv"), ("happy", "a.csv"), ("xyz", "b.eaf"), ("sadd", "b.eaf")])
    said = str(raised.value)
    assert "'hapy' in a.csv (nearest: happy)" in said
    assert "'sadd' in b.eaf (nearest: sad)" in said
    assert "'xyz' in b.eaf;" in said or "'xyz' in b.eaf." in said
    assert "'happy'" not in said
