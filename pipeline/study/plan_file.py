"""The plan of a study's analysis, as a coordinator writes it: ``plan.toml`` in the results folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.measures import measure_names
from pipeline.analysis.summaries import RAW, SummarySettings
from pipeline.errors import InputError
from pipeline.records import SAMPLE_FPS
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import did_you_mean, read_toml, setting, shown
from pipeline.study.session_rows import SESSION_MEASURES, ComparisonSettings

PLAN_FILE = "plan.toml"

Compared = tuple[str, str, str]
"""Measure, emotion or group, and condition of a comparison with the reference."""


@dataclass(frozen=True)
class AnalysisPlan:
    """The content of a plan.

    :param reference: condition that the others are compared with, also that of the patients' own baseline.
    :param conditions: compared with the reference.
    :param measures: primary measures: name and emotion of ``summaries/measures.parquet``, such as ``share
        positive``.
    :param reading: always ``raw``: conditions are compared in this reading only.
    :param hypothesis, exclusions: in the coordinator's words; may be empty.
    :param weights, weights_sha256: name and hash of the classifier's weights.
    """

    hypothesis: str = ""
    reference: str = "baseline"
    conditions: tuple[str, ...] = ()
    measures: tuple[str, ...] = ("share positive",)
    reading: str = RAW
    min_sessions: int = ComparisonSettings.min_sessions
    min_patients: int = ComparisonSettings.min_patients
    min_coverage: float = SummarySettings.min_coverage
    min_observed_s: float = SummarySettings.min_observed_s
    exclusions: str = ""
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    sample_fps: float = SAMPLE_FPS
    weights: str = ""
    weights_sha256: str = ""

    @property
    def comparisons(self) -> tuple[Compared, ...]:
        """Each primary measure in each condition."""
        pairs = [_pair(measure) for measure in self.measures]
        return tuple((*pair, condition) for condition in self.conditions for pair in pairs)

    @property
    def summary_settings(self) -> SummarySettings:
        """:raises InputError: a setting is not usable."""
        return SummarySettings(self.episodes, self.min_coverage, self.min_observed_s, self.reference)

    def comparison_settings(self, planned: tuple[Compared, ...]) -> ComparisonSettings:
        """:param planned: the family of planned tests. :raises InputError: a setting is not usable."""
        extra = tuple(pair for pair in map(_pair, self.measures) if pair not in SESSION_MEASURES)
        return ComparisonSettings(
            self.reference,
            SESSION_MEASURES + extra,
            min_sessions=self.min_sessions,
            min_patients=self.min_patients,
            planned=planned,
        )


def _pair(measure: str) -> tuple[str, str]:
    name, _, of = measure.partition(" ")
    return name, of


# --- the file

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "comparison": ("reference", "conditions", "measures", "reading", "min_sessions", "min_patients"),
    "exclusion": ("min_coverage", "min_observed_s", "exclusions"),
    "episodes": tuple(one.name for one in fields(EpisodeSettings)),
    "processing": ("sample_fps", "weights", "weights_sha256"),
}

_COMMENTS = {
    "hypothesis": "What you expect, in your own words; may stay empty.",
    "reference": "The condition that the others are compared with, and that of the patients' own baseline.",
    "conditions": 'The conditions to compare with it, as in the list of sessions: ["music", "garden"]',
    "measures": "The primary measures, as in summaries/measures.parquet. All other measures are exploratory.",
    "reading": "Conditions are compared in the raw reading only.",
    "min_sessions": "Of each condition, for a patient to count; and patients, for a comparison.",
    "min_coverage": "Sessions with less get no numbers: share of the session, and seconds, with the face.\n"
    "# A session without consent is never processed.",
    "exclusions": "What people leave out by hand, as in the list (end_s, exclude); may stay empty.",
    "smoothing_s": "What an episode is: docs/analysis-methods.md. Seconds, and probabilities.",
    "sample_fps": "Samples per second of video, and the classifier's weights.",
}


def plan_text(plan: AnalysisPlan) -> str:
    """The plan as TOML with comments; equal plans have equal texts."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: AnalysisPlan) -> Iterator[str]:
    yield "# Plan of the analysis. Fill it in before recordings are processed; then freeze it:"
    yield "#     emonext study plan DIR --freeze"
    yield "# Name no patient in it: `emonext purge` does not change a plan."
    yield from _line("hypothesis", plan.hypothesis)
    for section, names in _SECTIONS.items():
        yield f"\n[{section}]"
        for name in names:
            yield from _line(name, getattr(plan.episodes if section == "episodes" else plan, name))


def _line(name: str, value: Any) -> Iterator[str]:
    if name in _COMMENTS:
        yield f"# {_COMMENTS[name]}"
    yield f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):  # a JSON string is a basic string of TOML, but for this character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def write_plan(out: Path, plan: AnalysisPlan) -> Path:
    """Write a plan to edit.

    :raises OutputError: it can't be written.
    """
    with atomic(out / PLAN_FILE) as partial:
        partial.write_bytes(plan_text(plan).encode())  # the same bytes on every system
    return out / PLAN_FILE


def read_plan(path: Path) -> AnalysisPlan:
    """Read a plan; a missing setting has its default.

    :raises InputError: the file is no TOML, or a key or value is invalid.
    """
    found = read_toml(path, 'conditions = ["music"]')
    values: dict[str, Any] = {}
    for key, value in found.items():
        if key in _SECTIONS and isinstance(value, dict):
            kinds = _EPISODES if key == "episodes" else {name: _KINDS[name] for name in _SECTIONS[key]}
            own = {name: _value(path, f"{key}.", name, one, kinds) for name, one in value.items()}
            values |= {"episodes": own} if key == "episodes" else own
        else:
            values[key] = _value(path, "", key, value, {"hypothesis": str, **dict.fromkeys(_SECTIONS, dict)})
    try:
        values["episodes"] = EpisodeSettings(**values.get("episodes", {}))
        plan = AnalysisPlan(**values)
        plan.summary_settings, plan.comparison_settings(())  # checks the settings
    except InputError as error:
        raise InputError(f"{path}: {str(error).replace('`', '')}") from error
    return _checked(path, plan)


_KINDS: Mapping[str, type] = {
    one.name: type(one.default) for one in fields(AnalysisPlan) if one.name != "episodes"
}
_EPISODES: Mapping[str, type] = {one.name: float for one in fields(EpisodeSettings)}

_WANTED = {
    str: 'a text in quotes, such as "baseline"',
    tuple: 'texts in brackets, such as ["music", "garden"]',
    int: "a whole number above 0",
    float: "a number, 0 or above",
    dict: "a table, such as [comparison], and below it its settings",
}


def _value(path: Path, table: str, key: str, value: Any, kinds: Mapping[str, type]) -> Any:
    if key not in kinds:
        raise InputError(f"{path}: {shown(table + key)} is no setting of a plan{did_you_mean(key, kinds)}")
    return setting(path, table, key, value, kinds[key], _WANTED)


def _checked(path: Path, plan: AnalysisPlan) -> AnalysisPlan:
    """:raises InputError: the plan contradicts itself, or names an unknown measure."""
    known = [f"{name} {of}".strip() for name, of, _ in measure_names()]
    for measure in plan.measures:
        if measure not in known:
            close = did_you_mean(measure, known) if measure.split(" ")[0] else ""
            raise InputError(f"{path}: comparison.measures: {shown(measure)} is no measure{close}")
    if plan.reading != RAW:
        raise InputError(f'{path}: comparison.reading: conditions are compared in "{RAW}" only; write that.')
    for name in ("conditions", "measures"):
        given = getattr(plan, name)
        if len(set(given)) < len(given) or "" in given:
            raise InputError(f"{path}: comparison.{name}: a name is empty or twice there; remove it.")
    if plan.reference in plan.conditions:
        raise InputError(
            f"{path}: comparison.conditions: {shown(plan.reference)} is the reference; remove it from the "
            "conditions, or name another reference."
        )
    if not plan.sample_fps:
        raise InputError(f"{path}: processing.sample_fps: give a number above 0.")
    return plan


def check_complete(path: Path, plan: AnalysisPlan) -> None:
    """:raises InputError: the plan compares nothing."""
    for name, example in (("conditions", "music"), ("measures", "share positive")):
        if not getattr(plan, name):
            raise InputError(
                f'{path}: comparison.{name}: name at least one, such as ["{example}"], then freeze the plan.'
            )
