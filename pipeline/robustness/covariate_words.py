"""What ``patients.csv`` was read as, in one line, and the paragraph of it for a paper."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analysis.patients import PATIENTS_FILE
from pipeline.robustness.covariate_tables import ADJUSTED, read_characteristics, read_covariates
from pipeline.store.counts import number_of


def told_of_patients(rows: pl.DataFrame, stored: Mapping[str, Any]) -> str:
    """One line on ``patients.csv``: which columns were taken as what, and which patients it does not know.

    :param rows: from ``read_characteristics``. ``stored``: :class:`RowsOfPatients` as in its metadata.
    """
    columns = rows.unique("column", keep="first", maintain_order=True).iter_rows(named=True)
    told = [
        f"{row['column']} ({row['kind']}{', not used: ' + row['reason'] if row['reason'] else ''})"
        for row in columns
    ]
    parts = [", ".join(told) or "no column beside the ids"]
    for name, words in (
        ("without_row", "patients without a row"),
        ("without_session", "rows without a session"),
    ):
        if stored[name]:
            parts.append(f"{words}: {', '.join(stored[name])}")
    return f"{PATIENTS_FILE}: {'; '.join(parts)}."


def covariate_methods(out: Path, settings: Mapping[str, Any]) -> str:
    """The paragraph of a paper on the patients and the models with what is known of them.

    :param settings: those of :mod:`pipeline.robustness.covariates`, as the table's metadata have them.
    """
    adjusted = read_covariates(out).filter(number=ADJUSTED).filter(pl.col("value").is_not_null())
    used = adjusted["adjusted_for"].unique(maintain_order=True).to_list()
    told = f"Of the patients were known: {'; '.join(_described(read_characteristics(out))) or 'nothing'}."
    if not used:
        return f"{told} No comparison could be adjusted for it."
    return (
        f"{told} The comparisons of conditions were repeated with covariates of the patients, each model "
        f"with one of: {'; '.join(used)}. Covariates were centred at the mean of the patients, and entered "
        "for the level and for the effect of the condition (condition × covariate), numbers per standard "
        "deviation, "
        f"categories as indicators. A model takes {settings['patients_per_parameter']} patients for each "
        f"parameter of its columns, and {settings['min_group']} in each category. Patients without a value "
        "were left out of it; the unadjusted difference of the same patients stands beside the adjusted one. "
        "Student's t has as many degrees of freedom as patients, less one and less these parameters. These "
        "analyses are exploratory: they have no p-values, and their intervals are not corrected for their "
        "number."
    )


def _described(known: pl.DataFrame) -> Iterator[str]:
    for (name,), rows in known.group_by("column", maintain_order=True):
        first = rows.row(0, named=True)
        if first["reason"]:
            yield f"{name} (not used: {first['reason']})"
            continue
        if first["kind"] == "number":
            numbers = f"mean {first['mean']:.3g}, SD {first['sd']:.2g}"
        else:
            numbers = ", ".join(
                f"{level} {count}" for level, count in rows.select("level", "patients").rows()
            )
        missing = f", not known of {number_of(first['missing'], 'patient')}" if first["missing"] else ""
        yield f"{name} ({numbers}{missing})"
