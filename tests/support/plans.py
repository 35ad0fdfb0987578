"""Plans for tests: a folder with a frozen plan, before or after there are results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.study.frozen_plans import FrozenPlan, freeze
from pipeline.study.plan_file import AnalysisPlan, write_plan

MADE = "0" * 64
"""Sha256 of the weights of the made study."""

PLAN = AnalysisPlan(conditions=("music",), weights="made", weights_sha256=MADE)
"""As the made study was processed."""


def frozen(out: Path, **changes: Any) -> FrozenPlan:
    """Freeze the plan with these changes."""
    out.mkdir(exist_ok=True)
    write_plan(out, replace(PLAN, **changes))
    return freeze(out)


def without_setting(path: Path, name: str) -> None:
    """A table as a version that did not have this setting wrote it."""
    metadata = dict(read_metadata(path))
    metadata["settings"] = {key: value for key, value in metadata["settings"].items() if key != name}
    write_table(path, read_table(path), metadata)
