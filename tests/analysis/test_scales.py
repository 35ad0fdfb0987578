"""analysis.scales: bands at their limits, hand-computed windows, and a study's own scale."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.analysis import scales
from pipeline.analysis.scales import (
    BESIDE,
    BUDGET,
    ITEM,
    NOT_ASSESSED,
    read_ratings,
    write_scales,
)
from pipeline.analysis.scales_file import Scale, read_scales
from pipeline.analysis.summaries import EPISODES_SCHEMA, SESSIONS_SCHEMA
from pipeline.errors import InputError
from pipeline.processing.session import Settings
from pipeline.records import EMOTIONS
from pipeline.store.parquet import to_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import SCHEMA_VERSION, TIMELINE_SCHEMA

SHIPPED = Path(scales.__file__).with_name("scales.toml")

Stretches = list[tuple[float, float]]


@pytest.fixture
def oers(tmp_path: Path) -> Scale:
    (scale,) = read_scales(tmp_path).scales
    return scale


def row(schema: pa.Schema, **values: object) -> dict[str, list[object]]:
    """With something in what is not named."""
    blank: dict[str, object] = {"string": "", "double": 0.0, "bool": False}
    return {
        field.name: [values.get(field.name, None if field.nullable else blank.get(str(field.type), 0))]
        for field in schema
    }


def write_session(
    out: Path,
    episodes: list[tuple[str, float, float]],
    *,
    end_s: float = 600,
    unseen: Stretches = (),  # type: ignore[assignment]
    status: str = "no_face",
    eyes_open: float | None = None,
    parts: Stretches | None = None,
) -> None:
    """A session of one patient, a sample a second, and its episodes."""
    times = [float(second) for second in range(int(end_s))]
    seen = [not any(start <= time < end for start, end in unseen) for time in times]
    columns = {name: [None] * len(times) for name in TIMELINE_SCHEMA.names}
    columns |= {"patient_id": ["P1"] * len(times), "session_id": ["S1"] * len(times), "time_s": times}
    columns |= {"sample": list(range(len(times))), "frame": list(range(len(times)))}
    columns |= {"status": ["ok" if there else status for there in seen]}
    columns |= {"eyes_open": [(eyes_open if there else 0.1) if eyes_open else None for there in seen]}
    columns |= {f"p_{name}": [1 / 7 if there else None for there in seen] for name in EMOTIONS}
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "video": {"duration_s": end_s, "frame_rate": 25.0},
        "session": {
            "parts": parts or [(0.0, end_s)],
            "recorded_at": None,
            "condition": "",
            "attention_to": "camera",
        },
        "settings": vars(Settings(sample_fps=1)) | {"quality": {}},
    }
    write_table(timeline_path(out, "P1", "S1"), to_table(TIMELINE_SCHEMA, columns), metadata)
    sessions = row(SESSIONS_SCHEMA, patient_id="P1", session_id="S1", enough=True, coverage=1.0)
    write_table(out / "summaries" / "sessions.parquet", to_table(SESSIONS_SCHEMA, sessions), {})
    rows = [
        row(EPISODES_SCHEMA, patient_id="P1", reading="raw", emotion=name, start_s=start, end_s=end)
        for name, start, end in episodes
    ]
    table = {name: [value for each in rows for value in each[name]] for name in EPISODES_SCHEMA.names}
    path = out / "episodes" / "patient_id=P1" / "S1.parquet"
    write_table(path, to_table(EPISODES_SCHEMA, table), {})


def rated(out: Path, item: str, column: str = "score") -> list[object]:
    return read_ratings(out).filter(item=item)[column].to_list()


# --- bands


@pytest.mark.parametrize(
    ("seconds", "score"),
    [(0, 1), (0.2, 2), (15.9, 2), (16, 3), (59.9, 3), (60, 4), (300, 4), (300.1, 5), (600, 5)],
)
def test_bands_at_their_edges(oers: Scale, seconds: float, score: int) -> None:
    assert oers.band(seconds).score == score


def test_a_sum_of_binary_fractions_is_on_the_right_side(oers: Scale) -> None:
    assert sum([0.1] * 160) < 16
    assert oers.band(sum([0.1] * 160)).score == 3
    assert oers.band(sum([0.2] * 1500)).score == 4


def test_the_file_that_comes_with_the_program_is_the_published_scale(oers: Scale) -> None:
    assert oers.items == {"pleasure": "happy", "anger": "angry", "anxiety or fear": "fear", "sadness": "sad"}
    assert (oers.window_s, oers.not_in_view, oers.beside) == (600, 7, ("surprise", "disgust"))
    assert (oers.not_assessed, oers.eyes_open) == ((), "general alertness")
    assert "check it against the form" in SHIPPED.read_text("utf-8").lower()


# --- windows


def test_a_session_without_episodes_is_never_at_all(tmp_path: Path) -> None:
    write_session(tmp_path, [])
    ratings = write_scales(tmp_path)
    assert ratings.filter(kind=ITEM)["score"].to_list() == [1] * 4
    assert ratings.filter(kind=ITEM)["words"].unique().to_list() == ["never seen"]


@pytest.mark.parametrize(("status", "score"), [("no_face", 7), ("eyes_shut", 1)])
def test_a_sleeper_is_in_view(tmp_path: Path, status: str, score: int) -> None:
    write_session(tmp_path, [], unseen=[(100, 600)], status=status)
    write_scales(tmp_path)
    assert rated(tmp_path, "pleasure") == [score]


def test_the_time_with_open_eyes_stands_for_alertness(tmp_path: Path) -> None:
    """Of ten minutes, 250 s with open eyes, the rest asleep."""
    write_session(tmp_path, [], unseen=[(250, 600)], status="eyes_shut", eyes_open=0.9)
    ratings = write_scales(tmp_path)
    row = ratings.filter(item="general alertness").row(0, named=True)
    assert (row["kind"], row["seconds"], row["score"]) == (ITEM, 250, 4)


def test_durations_of_a_window_add_up(tmp_path: Path) -> None:
    """By hand: 10 + 5.9 s happy, 10 + 6 s angry, 60 s sad, nothing of fear."""
    write_session(
        tmp_path,
        [
            *(("happy", 0, 10), ("happy", 50, 55.9), ("angry", 100, 110), ("angry", 120, 126)),
            *(("sad", 200, 260), ("surprise", 300, 302), ("neutral", 310, 410)),
        ],
    )
    ratings = write_scales(tmp_path)
    items = ("pleasure", "anger", "sadness", "anxiety or fear")
    assert [rated(tmp_path, item) for item in items] == [[2], [3], [4], [1]]
    assert rated(tmp_path, "pleasure", "seconds") == pytest.approx([15.9])
    kinds = {
        kind: ratings.filter(kind=kind).select("item", "seconds", "score", "words").rows()
        for kind in (BESIDE, NOT_ASSESSED, BUDGET)
    }
    no_item = "no item of the scale"
    assert kinds[BESIDE] == [("surprise", 2, None, no_item), ("disgust", 0, None, no_item)]
    assert kinds[NOT_ASSESSED] == [("general alertness", None, None, "not assessed")]
    assert [row[0] for row in kinds[BUDGET]] == ["positive", "neutral", "negative"]
    assert [row[1] for row in kinds[BUDGET]] == pytest.approx([15.9, 100, 76])


def test_an_episode_over_a_windows_end_counts_in_both(tmp_path: Path) -> None:
    write_session(tmp_path, [("happy", 595, 620)], end_s=1200)
    write_scales(tmp_path)
    assert rated(tmp_path, "pleasure", "seconds") == [5, 20]
    assert rated(tmp_path, "pleasure") == [2, 3]


@pytest.mark.parametrize(("end_s", "windows"), [(299, 0), (300, 1), (899, 1), (900, 2), (1200, 2)])
def test_a_last_window_shorter_than_half_is_not_rated(tmp_path: Path, end_s: float, windows: int) -> None:
    write_session(tmp_path, [("happy", 10, 20)], end_s=end_s)
    assert write_scales(tmp_path)["window"].n_unique() == windows


def test_a_window_of_which_too_little_was_seen_is_not_in_view(tmp_path: Path) -> None:
    """Of the second ten minutes 301 seconds were not seen."""
    write_session(tmp_path, [("happy", 10, 20), ("happy", 1000, 1010)], end_s=1200, unseen=[(600, 901)])
    ratings = write_scales(tmp_path)
    assert rated(tmp_path, "pleasure") == [2, 7]
    assert rated(tmp_path, "pleasure", "seconds") == [10, None]
    assert rated(tmp_path, "pleasure", "words")[1] == "not in view"
    assert rated(tmp_path, "pleasure", "coverage") == pytest.approx([1, 299 / 600])
    assert ratings.filter(kind=NOT_ASSESSED)["words"].unique().to_list() == ["not assessed"]
    write_session(tmp_path, [("happy", 1000, 1010)], end_s=1200, unseen=[(600, 900)])
    write_scales(tmp_path)
    assert rated(tmp_path, "pleasure") == [1, 2]


def test_windows_begin_with_the_part_that_counts(tmp_path: Path) -> None:
    """From 100 s on, without 200–450 s: the window counts 350 s of its 600."""
    write_session(tmp_path, [("happy", 50, 130)], end_s=800, parts=[(100, 200), (450, 800)])
    ratings = write_scales(tmp_path)
    assert ratings.select("start_s", "end_s").unique().rows() == [(100, 700)]
    assert rated(tmp_path, "pleasure", "seconds") == [30]
    assert rated(tmp_path, "pleasure", "coverage") == pytest.approx([1])


def test_readings_are_rated_apart(summarized_study: Path, tmp_path: Path) -> None:
    for name in ("timelines", "episodes"):
        (tmp_path / name).symlink_to(summarized_study / name)
    (tmp_path / "summaries").mkdir()
    (tmp_path / "summaries" / "sessions.parquet").symlink_to(
        summarized_study / "summaries" / "sessions.parquet"
    )
    found = write_scales(tmp_path).filter(patient_id="P03", session_id="S02", item="sadness")
    assert found["reading"].to_list() == ["raw", "corrected"]
    # this patient's face looks sad at rest
    raw, corrected = found["seconds"].to_list()
    assert raw > corrected


# --- the file


def test_a_study_may_have_its_own_form(tmp_path: Path) -> None:
    own = SHIPPED.read_text("utf-8").replace("below_s = 16", "below_s = 30").replace("= 600", "= 300")
    (tmp_path / "scales.toml").write_text(own, "utf-8")
    write_session(tmp_path, [("happy", 10, 38)])
    write_scales(tmp_path)
    assert rated(tmp_path, "pleasure") == [2, 1]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"happy"', '"joy"', "items, 'pleasure' must be one of angry, disgust,"),
        ('"happy"', "7", "items, 'pleasure' must be one of angry"),
        ('"surprise", "disgust"', '"surprise", ["fear"]', "beside must be one of angry"),
        ('["surprise", "disgust"]', '"surprise"', "beside must be a list, not 'surprise'"),
        ("not_assessed = []", 'not_assessed = "x"', "not_assessed must be a list"),
        ("not_assessed = []", "not_assessed = [1]", "not_assessed must be a text, not 1"),
        ('eyes_open = "general alertness"', "eyes_open = 1", "eyes_open must be a text, not 1"),
        ("not_assessed", "not_asessed", "it has 'not_asessed', and may have name, source"),
        ('"Observed Emotion Rating Scale"', "5", "name must be a text, not 5"),
        ('name = "Observed Emotion Rating Scale"', 'name = " "', "name must be a text"),
        ("window_s = 600", "", "it has no 'window_s'"),
        ("window_s = 600", "window_s = true", "window_s must be a number of seconds from 1"),
        ("window_s = 600", f"window_s = 0x{'f' * 300}", "window_s must be a number of seconds from 1"),
        (
            "not_in_view = 7",
            "not_in_view = 999",
            "not_in_view must be a whole number from -128 to 127, not 999",
        ),
        ("not_in_view = 7", "not_in_view = 7.0", "not_in_view must be a whole number"),
        ("score = 2", "score = 2.5", "band 2, score must be a whole number from -128 to 127, not 2.5"),
        ("score = 2", 'score = "2"', "band 2, score must be a whole number"),
        ("score = 2", "", "band 2 has no 'score'"),
        ('words = "never seen"', "words = 5", "band 1, words must be a text, not 5"),
        (
            "below_s = 16",
            'below_s = "16"',
            "band 2, below_s must be a number of seconds up to 1000000, not '16'",
        ),
        ("below_s = 16", "below_s = nan", "band 2, below_s must be a number"),
        ("up_to_s = 0", "up_to_s = -1", "band 1, up_to_s must be a number"),
        ("window_s = 600", "window_s = 0", "window_s must be"),
        ("min_coverage = 0.5", "min_coverage = 50", "min_coverage must be a number above 0 and at most 1"),
        ("min_coverage = 0.5", 'min_coverage = "half"', "min_coverage must be a number"),
        ("below_s = 16", "", "band 2 must have one of"),
        ("below_s = 16", "below_s = 90", "in order of their ends"),
        ('words = "more than 5 minutes"', 'words = "more"\nup_to_s = 900', "the last band must have no end"),
        ("below_s = 60", "below = 60\n", "band 3 has 'below', and may have score, words, below_s, up_to_s"),
        ("[oers]", "[oers", "not TOML"),
        ("window_s = 600", 'window_s = "ten"', "'oers' is no scale: window_s must be"),
    ],
)
def test_a_form_that_can_not_be_used_says_why(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = SHIPPED.read_text("utf-8")
    assert old in text
    (tmp_path / "scales.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=r"scales\.toml") as raised:
        read_scales(tmp_path)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "oers = 3\n", "[oers]\nbands = 3\n"])
def test_a_form_that_holds_no_scale_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "scales.toml").write_text(text, "utf-8")
    with pytest.raises(InputError):
        read_scales(tmp_path)
