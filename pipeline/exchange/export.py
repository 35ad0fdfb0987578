"""Export results for other programs: tables, ELAN and BORIS files, and BIDS."""

from functools import partial
from pathlib import Path
from typing import Literal, get_args

from pipeline.analysis.summaries import RAW
from pipeline.errors import InputError, OutputError
from pipeline.exchange.exported import sessions_to_export
from pipeline.exchange.manifest import Files, replace_export
from pipeline.records import OnProgress
from pipeline.store.ids import find_clashes
from pipeline.store.spreadsheet import read_decimal

Format = Literal["csv", "xlsx", "elan", "boris", "bids"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export(
    out: Path,
    kind: Format,
    folder: Path,
    reading: str = RAW,
    *,
    samples: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Path]:
    """Write a folder's results for another program; replaces the files of an earlier export.

    :param folder: output folder; created if missing.
    :param reading: reading of the episodes for ELAN and BORIS; other formats contain all readings.
    :param samples: csv and xlsx: also the samples of each session.
    :returns: the written files.
    :raises InputError: no session has this reading, or two sessions would get the same name.
    :raises TimelineError: results can't be read.
    :raises OutputError: a file can't be written, or exists and is not from an export, or a rater may have
        edited it.
    """
    if kind in ("csv", "xlsx"):
        return replace_export(folder, kind, _tables(out, kind, samples), on_progress)
    sessions = sessions_to_export(out, on_progress)
    if kind == "bids":
        from pipeline.exchange.bids import bids_files
        from pipeline.exchange.participants import participant_columns

        listed = list(sessions)
        known = participant_columns(out, list(dict.fromkeys(one.patient_id for one in listed)))
        return replace_export(folder, kind, bids_files(listed, known))
    rateable = [one for one in sessions if reading == RAW or one.facts[reading]]
    if not rateable:
        raise InputError(f"{out}: no session has the reading {reading}; leave out `reading`.")
    for clash in find_clashes((one.patient_id, one.session_id) for one in rateable):
        raise InputError(f"{out}: {clash}")
    if kind == "boris":
        from pipeline.exchange.boris import write_boris

        return [write_boris(rateable, _new(folder / "emonext-care.boris"), reading)]
    if kind != "elan":
        raise InputError(f"`format` {kind}: no such format.")
    from pipeline.exchange.elan import write_elan

    paths = [_new(folder / f"{one.name}.eaf") for one in rateable]
    return [write_elan(one, path, reading) for one, path in zip(rateable, paths, strict=True)]


def _tables(out: Path, kind: str, samples: bool) -> Files:
    from pipeline.exchange.samples import sample_files
    from pipeline.exchange.tables import csv_files, derived_tables, described, write_xlsx

    tables, decimal = derived_tables(out), read_decimal(out)
    columns, of_sessions = sample_files(out, kind, decimal) if samples else (None, {})
    dictionary = described([*tables, columns] if columns else tables)
    if kind == "csv":
        return {**csv_files([*tables, dictionary], decimal), **of_sessions}
    return {"emonext-care.xlsx": partial(write_xlsx, [*tables, dictionary]), **of_sessions}


def _new(path: Path) -> Path:
    """:raises OutputError: the file exists, and a rater may have edited it."""
    if path.exists():
        raise OutputError(
            f"{path}: exists, perhaps with a rater's corrections; move it away, or give another `out`."
        )
    return path
