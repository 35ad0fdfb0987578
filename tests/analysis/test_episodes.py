"""analysis.episodes: simulated episodes are found at the right place."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.analysis.episodes import Episode, EpisodeSettings, Observed, find_episodes, smoothed
from pipeline.checks.demo_study import Shown, as_classified
from pipeline.errors import InputError
from pipeline.records import EMOTIONS

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "sad", "neutral"))
SETTINGS = EpisodeSettings()


def samples(plan: str, sure: float = 0.9, step_s: float = 0.2) -> Observed:
    """One letter a sample: h, s, n, u for nothing sure, and a blank where nothing could be read."""
    rows = []
    for letter in plan.replace(" ", ""):
        row = np.full(7, 1 / 7)
        if letter != "u":
            row[:] = (1 - sure) / 6
            row[{"h": HAPPY, "s": SAD, "n": NEUTRAL}[letter]] = sure
        rows.append(row)
    read = np.array([letter != " " for letter in plan], bool)
    start_s = step_s * np.arange(len(plan))[read]
    return Observed(start_s, np.full(len(start_s), step_s), np.array(rows).reshape(-1, 7))


def found(plan: str, settings: EpisodeSettings = SETTINGS, **how: float) -> list[tuple[str, float, float]]:
    episodes = find_episodes(samples(plan, **how), settings)
    return [(episode.emotion, round(episode.start_s, 6), round(episode.end_s, 6)) for episode in episodes]


def test_nothing_read_is_no_episode() -> None:
    assert find_episodes(samples(""), SETTINGS) == []
    assert found("     ") == []


def test_edges_are_where_they_are_planted() -> None:
    plan = 20 * "n" + 10 * "h" + 20 * "n"
    assert found(plan) == [("neutral", 0, 4), ("happy", 4, 6), ("neutral", 6, 10)]


def test_edges_do_not_depend_on_how_sure_it_is() -> None:
    plan = 20 * "u" + 10 * "h" + 20 * "u"
    for sure in (0.55, 0.7, 0.95):
        assert found(plan, sure=sure) == [("happy", 4, 6)]


def test_a_short_one_is_left_out() -> None:
    assert found(10 * "u" + 4 * "h" + 10 * "u") == []
    assert found(10 * "u" + 5 * "h" + 10 * "u") == [("happy", 2, 3)]


def test_below_the_threshold_nothing_is_said() -> None:
    assert found(30 * "h", sure=0.45) == []


def test_it_lasts_until_below_the_lower_threshold() -> None:
    sure, less = samples(20 * "h", sure=0.9), samples(20 * "h", sure=0.45)
    both = Observed(
        np.arange(40) * 0.2, np.full(40, 0.2), np.concatenate([sure.probabilities, less.probabilities])
    )
    [episode] = find_episodes(both, EpisodeSettings(leave=0.4))
    assert (episode.start_s, round(episode.end_s, 6)) == (0, 8)
    [episode] = find_episodes(both, EpisodeSettings(leave=0.5))
    assert episode.end_s == pytest.approx(4)


def test_a_short_doubt_is_bridged() -> None:
    assert found(10 * "h" + 2 * "u" + 10 * "h") == [("happy", 0, 4.4)]
    apart = found(10 * "h" + 8 * "u" + 10 * "h")
    assert apart == [("happy", 0, 2), ("happy", 3.6, 5.6)]


def test_unobserved_time_is_bridged_only_as_long_as_stated() -> None:
    short = find_episodes(samples(10 * "h" + 5 * " " + 10 * "h"), SETTINGS)
    assert [(e.start_s, round(e.end_s, 6), round(e.observed_s, 6)) for e in short] == [(0, 5, 4)]
    assert found(10 * "h" + 6 * " " + 10 * "h") == [("happy", 0, 2), ("happy", 3.2, 5.2)]
    assert found(10 * "h" + 2 * " " + 10 * "h", EpisodeSettings(max_unobserved_s=0)) == [
        ("happy", 0, 2),
        ("happy", 2.4, 4.4),
    ]


def test_nothing_is_smoothed_across_a_long_gap() -> None:
    with_gap = samples(10 * "h" + 20 * " " + 10 * "s")
    smooth = smoothed(with_gap, SETTINGS)
    assert smooth[9, HAPPY] == pytest.approx(0.9)
    assert smooth[10, SAD] == pytest.approx(0.9)


def test_smoothing_is_the_mean_over_the_window() -> None:
    # the window of 1 s around the middle of sample 5 holds samples 3 to 7
    plan = samples("nnnnnhhhhh")
    assert smoothed(plan, SETTINGS)[5, HAPPY] == pytest.approx((2 * 0.1 / 6 + 3 * 0.9) / 5)


def test_samples_count_for_the_time_they_stand_for() -> None:
    """One sample of 0.9 s, and around it two of 0.1 s: the long one rules the window of 1 s."""
    probabilities = np.full((3, 7), 0.1 / 6)
    probabilities[[0, 2], NEUTRAL] = probabilities[1, HAPPY] = 0.9
    uneven = Observed(np.array([0.0, 0.1, 1.0]), np.array([0.1, 0.9, 0.1]), probabilities)
    assert smoothed(uneven, SETTINGS)[1, HAPPY] == pytest.approx(0.9 * 0.9 + 0.1 * 0.1 / 6)


def test_no_window_leaves_the_probabilities() -> None:
    plan = samples("nnhhn")
    assert smoothed(plan, EpisodeSettings(smoothing_s=0)) == pytest.approx(plan.probabilities)


def test_peak_and_means_are_of_the_smoothed() -> None:
    plan = samples(10 * "u" + 15 * "h" + 10 * "u")
    plan.probabilities[17] = np.full(7, 0.01 / 6)
    plan.probabilities[17, HAPPY] = 0.99
    [episode] = find_episodes(plan, SETTINGS)
    # samples 15 to 19 have it in their window
    assert 3.0 <= episode.peak_s <= 3.8 + 1e-9
    assert episode.peak_p == pytest.approx((4 * 0.9 + 0.99) / 5)
    assert 0.8 < episode.mean_p < episode.peak_p


@pytest.mark.parametrize(
    "wrong",
    [{"enter": 0.3}, {"enter": 1.2}, {"leave": -0.1}, {"bridge_s": 2.0}, {"smoothing_s": -1.0}],
)
def test_contradictions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"`leave`|`bridge_s`|`smoothing_s`"):
        EpisodeSettings(**wrong)


# --- planted in noise


def planted(
    random: np.random.Generator, uneven_s: float
) -> tuple[list[Shown], Observed, Callable[..., bool]]:
    """Ten minutes with episodes from 2 s on, noise, and gaps; whether a stretch was read throughout."""
    time_s = np.arange(0, 600, 0.2)
    if uneven_s:
        time_s = np.sort(time_s + random.uniform(-uneven_s, uneven_s, len(time_s)))
    shown, now = [], 0.0
    while True:
        start = now + 3 + random.exponential(15)
        now = start + 2 + random.exponential(4)
        if now > 597:
            break
        shown.append(Shown(str(random.choice(["happy", "sad", "angry", "surprise"])), start, now))
    probabilities = as_classified(time_s, shown, np.zeros(7), random).astype(float)
    read, gap = np.ones(len(time_s), bool), 0.0
    while gap < 600:
        gap += random.exponential(70)
        length = random.exponential(6)
        read[(time_s >= gap) & (time_s < gap + length)] = False
    seconds = np.append(np.diff(time_s), 0.2)

    def is_read(start_s: float, end_s: float) -> bool:
        return bool(read[(time_s >= start_s - 0.6) & (time_s < end_s + 0.6)].all())

    return shown, Observed(time_s[read], seconds[read], probabilities[read]), is_read


def partners(episode: Shown, episodes: list[Episode]) -> list[Episode]:
    return [
        e
        for e in episodes
        if e.emotion == episode.emotion and e.start_s < episode.end_s and e.end_s > episode.start_s
    ]


@pytest.mark.parametrize("uneven_s", [0.0, 0.05])
def test_planted_episodes_come_back_within_a_sample(uneven_s: float) -> None:
    random = np.random.default_rng(1)
    off_s, lengths, strangers = [], [], 0
    for _ in range(40):
        shown, observed, is_read = planted(random, uneven_s)
        episodes = [e for e in find_episodes(observed, SETTINGS) if e.emotion != "neutral"]
        strangers += sum(
            not any(e in partners(planted_one, episodes) for planted_one in shown) for e in episodes
        )
        for episode in shown:
            if not is_read(episode.start_s, episode.end_s):
                continue
            [match] = partners(episode, episodes)
            # the grid itself is off by up to a sample
            off_s += [match.start_s - episode.start_s - 0.1, match.end_s - episode.end_s - 0.1]
            lengths.append((match.end_s - match.start_s, episode.end_s - episode.start_s))
    assert len(lengths) > 600
    assert strangers == 0
    assert np.mean(np.abs(off_s) <= 0.2 + uneven_s) > 0.99
    ours, truth = np.array(lengths).sum(axis=0)
    assert ours / truth == pytest.approx(1, abs=0.02)


def test_whatever_the_samples_are_episodes_are_in_order_and_apart() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        count = int(random.integers(0, 60))
        seconds = random.choice([0.2, 0.2, 0.05, 1.0], count)
        start_s = np.cumsum(seconds + random.choice([0, 0, 0, 0, 0.3, 5], count)) - seconds
        logits = np.repeat(random.normal(0, 3, (count // 4 + 1, 7)), 4, 0)[:count]
        shares = np.exp(logits + random.normal(0, 1, (count, 7)))
        samples = Observed(start_s, seconds, shares / shares.sum(axis=1, keepdims=True))
        settings = EpisodeSettings(
            smoothing_s=float(random.choice([0, 0.5, 3])), max_unobserved_s=float(random.choice([0, 1, 4]))
        )
        episodes = find_episodes(samples, settings)
        assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(episodes))
        for episode in episodes:
            assert episode.start_s <= episode.peak_s < episode.end_s
            assert 0 < episode.observed_s <= episode.end_s - episode.start_s + 1e-9
            assert 0 <= episode.mean_p <= episode.peak_p + 1e-9 <= 1 + 1e-6
