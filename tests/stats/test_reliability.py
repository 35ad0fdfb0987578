"""stats.reliability against published examples, and intervals against the libraries' values."""

import numpy as np
import pytest
from scipy.stats import norm

from pipeline.stats.reliability import (
    NOTHING,
    ONE_CLASS,
    ONLY_ONE,
    Figure,
    _alphas,
    _coincidences,
    alpha,
    confusion,
    correlation,
    kappa,
    kappas,
    share,
)

krippendorff = pytest.importorskip("krippendorff", reason="needs the packages of the extra agreement")
pytest.importorskip("pingouin", reason="needs the packages of the extra agreement")

COHEN = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
"""Two judges' diagnoses of 200 patients (Cohen 1960): they agree on 0.70, by chance on 0.41."""

MISSING = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, MISSING, MISSING, MISSING],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, MISSING, 3],
        [MISSING, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, MISSING],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, MISSING],
    ]
)
"""Four observers of twelve units (Krippendorff 2011)."""

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Four judges of six targets (Shrout & Fleiss 1979, table 2)."""


def value_counts(data: np.ndarray) -> np.ndarray:
    return np.stack([(data == label).sum(axis=0) for label in range(1, 6)], axis=1)


# --- nothing


def test_nothing_has_no_figure() -> None:
    assert kappa(np.zeros((0, 3, 3), int)) == Figure(None, why=NOTHING)
    assert alpha([]) == Figure(None, why=NOTHING)
    assert alpha([np.array([[1, 0]])]) == Figure(None, why=NOTHING), "one reader alone"
    assert share(np.zeros(0, int), np.zeros(0, int)) == Figure(None, why=NOTHING)
    assert correlation(np.zeros((0, 2))).absolute.value is None
    assert confusion(np.zeros(0, np.int8), np.zeros(0, np.int8), 3).tolist() == [[0] * 3] * 3


def test_one_class_alone_is_undefined_and_not_perfect() -> None:
    assert kappa(np.array([[[50, 0], [0, 0]]])) == Figure(None, why=ONE_CLASS)
    assert alpha([np.array([[2, 0], [2, 0]])]) == Figure(None, why=ONE_CLASS)


def test_a_label_that_only_one_of_them_uses_has_no_kappa() -> None:
    assert kappa(np.array([[[0, 5], [0, 20]]])) == Figure(None, why=ONLY_ONE)


# --- Cohen


def test_kappa_of_cohen_s_example() -> None:
    found = kappa(COHEN[None])
    assert found.value == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    assert (found.low, found.why) == (None, "too little to say how sure")


def test_weighted_kappa_by_hand() -> None:
    """Quadratic: 0.20 · 1 + 0.10 · 4 of what was said apart, 0.42 · 1 + 0.17 · 4 of what chance would."""
    assert kappa(COHEN[None], "quadratic").value == pytest.approx(1 - 0.60 / 1.10)
    assert kappa(COHEN[None], "linear").value == pytest.approx(1 - (0.20 + 0.20) / (0.42 + 0.34))


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_that_of_two_libraries(weights: str | None) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    random = np.random.default_rng(1)
    tables = random.integers(0, 40, (20, 5, 5))
    theirs = [
        inter_rater.cohens_kappa(table, wt={"quadratic": "fc"}.get(weights or "", weights)).kappa
        for table in tables
    ]
    assert [kappa(table[None], weights).value for table in tables] == pytest.approx(theirs)
    assert kappas(tables.astype(float), weights) == pytest.approx(theirs)


def test_the_interval_of_kappa_is_that_of_theory_where_units_are_independent() -> None:
    """Fleiss, Cohen & Everitt (1969), as statsmodels has it, of single patients as units."""
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    units = np.zeros((200, 3, 3), int)
    cells = [cell for cell, count in np.ndenumerate(COHEN) for _ in range(count)]
    for unit, cell in zip(units, cells, strict=True):
        unit[cell] = 1
    found, theirs = kappa(units), inter_rater.cohens_kappa(COHEN)
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(theirs.kappa_low, abs=0.015)
    assert found.high == pytest.approx(theirs.kappa_upp, abs=0.015)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of 200 studies of 40 sessions: readers who agree on 80 % of two equally frequent labels, κ = 0.6."""
    random = np.random.default_rng(2)
    inside = 0
    for _ in range(200):
        same = random.binomial(50, 0.8, 40)
        first = random.binomial(50, 0.5, 40)
        both = random.hypergeometric(first, 50 - first, same)
        apart = first - both
        tables = np.stack([both, apart, 50 - same - apart, same - both], axis=1).reshape(-1, 2, 2)
        found = kappa(tables)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.6 <= found.high
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) <= inside / 200 <= 1


@pytest.mark.parametrize("sessions", [5, 8])
def test_the_interval_covers_nearly_as_often_with_few_sessions(sessions: int) -> None:
    """Of 200 studies in whose sessions two readers say the same of about 80 % of the steps."""
    random = np.random.default_rng(2)
    parts = random.binomial(300, np.clip(random.normal(0.8, 0.08, (200, sessions)), 0, 1))
    found = [share(same, np.full(sessions, 300)) for same in parts]
    inside = sum(one.low <= 0.8 <= one.high for one in found if one.low is not None and one.high is not None)
    assert inside / 200 >= 0.88


def test_of_few_sessions_with_something_there_is_no_interval() -> None:
    """Sessions without any of what is counted are none."""
    parts, wholes = np.array([1, 2, 1, 3, 0, 0, 0]), np.array([2, 2, 3, 4, 0, 0, 0])
    assert share(parts, wholes) == Figure(7 / 11, why="too little to say how sure")
    wholes[4] = 1
    assert share(parts, wholes).low is not None


# --- Krippendorff


def test_alpha_of_krippendorff_s_example() -> None:
    """Of 40 pairable values 9, 13, 10, 5 and 3 are of each label, and 32 coincide with their like."""
    counts = value_counts(KRIPPENDORFF)
    by_chance = 9 * 8 + 13 * 12 + 10 * 9 + 5 * 4 + 3 * 2
    assert alpha([counts]).value == pytest.approx((39 * 32 - by_chance) / (40 * 39 - by_chance))
    assert alpha([counts]).value == pytest.approx(0.743, abs=0.0005)
    assert alpha([counts]).value == pytest.approx(
        krippendorff.alpha(KRIPPENDORFF, level_of_measurement="nominal")
    )


def test_alpha_of_resamples_is_the_library_s() -> None:
    random = np.random.default_rng(3)
    units = [random.integers(0, 3, (30, 4)) for _ in range(6)]
    ours = _alphas(np.stack([_coincidences(unit) for unit in units]))
    theirs = [
        krippendorff.alpha(value_counts=unit[unit.sum(1) > 1], level_of_measurement="nominal")
        for unit in units
    ]
    assert ours == pytest.approx(theirs)
    found = alpha(units)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


# --- Shrout & Fleiss


def test_intraclass_correlations_of_shrout_and_fleiss() -> None:
    found = correlation(SHROUT_FLEISS)
    assert found.absolute.value == pytest.approx(0.29, abs=0.005)
    assert found.consistent.value == pytest.approx(0.71, abs=0.005)
    assert (found.consistent.low, found.consistent.high) == pytest.approx((0.34, 0.95), abs=0.01)


def test_intraclass_correlations_by_hand() -> None:
    """From the mean squares of a table with two ways (Shrout & Fleiss 1979)."""
    n, k = SHROUT_FLEISS.shape
    grand = SHROUT_FLEISS.mean()
    rows = k * ((SHROUT_FLEISS.mean(1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((SHROUT_FLEISS.mean(0) - grand) ** 2).sum() / (k - 1)
    whole = ((SHROUT_FLEISS - grand) ** 2).sum()
    error = (whole - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1))
    found = correlation(SHROUT_FLEISS)
    assert found.consistent.value == pytest.approx((rows - error) / (rows + (k - 1) * error))
    assert found.absolute.value == pytest.approx(
        (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    )


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ([[1, 2], [2, 1]], "fewer than 3 sessions"),
        ([[0, 2], [0, 1], [0, 3]], ONLY_ONE),
        ([[2, 2], [2, 2], [2, 2]], "the same in every session"),
    ],
)
def test_an_undefined_correlation_says_why(shares: list[list[float]], why: str) -> None:
    assert correlation(np.array(shares, float)).absolute == Figure(None, why=why)


# --- shares


def test_a_share_and_its_interval() -> None:
    parts, wholes = np.ones(400, int), np.full(400, 1)
    parts[:100] = 0
    found = share(parts, wholes)
    half = norm.ppf(0.975) * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.005)
