"""Read ``study.toml``, the settings of a study."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.processing.session import QualityLimits, Settings
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import (
    DECIMALS,
    Decimal,
    did_you_mean,
    read_toml,
    setting,
    shown,
)

SETTINGS_FILE = "study.toml"


def read_settings(folder: Path) -> dict[str, object]:
    """Read the settings of ``study.toml``; empty without such a file.

    :returns: the given settings: fields of :class:`pipeline.processing.session.Settings`, ``model``,
        ``device``, ``jobs``, ``decimal``; and under ``quality`` fields of
        :class:`pipeline.processing.session.QualityLimits`.
    :raises InputError: the file is no TOML, or a key or value is invalid.
    """
    path = folder / SETTINGS_FILE
    if not os.path.lexists(path):
        return {}
    found = read_toml(path, "sample_fps = 5.0")
    settings: dict[str, Any] = {}
    for key, value in found.items():
        if key == "quality" and isinstance(value, dict):
            settings[key] = {
                name: _setting(path, "quality.", name, limit, _QUALITY_KINDS) for name, limit in value.items()
            }
        else:
            settings[key] = _setting(path, "", key, value, _KINDS)
    if settings.get("decimal", "point") not in DECIMALS:
        raise InputError(f'{path}: decimal: write decimal = "comma", or "point".')
    try:
        Settings(**{name: settings[name] for name in _SESSION_KINDS if name in settings})
    except InputError as error:
        raise InputError(f"{path}: {str(error).replace('`', '')}") from error
    return settings


def list_decimal(folder: Path) -> Decimal:
    """Decimal mark of a study's tables, by the ``study.toml`` beside its list; errors as above."""
    return "comma" if read_settings(folder).get("decimal") == "comma" else "point"


def choose_decimal(folder: Path, given: Decimal | None) -> Decimal:
    """The given mark, or else that of ``study.toml``.

    :raises InputError: ``study.toml`` exists and does not state the given mark, or can't be read.
    """
    kept, path = list_decimal(folder), folder / SETTINGS_FILE
    if given not in (None, kept) and os.path.lexists(path):
        raise InputError(f'{path}: exists; write decimal = "{given}" as its first line, then run this again.')
    return given or kept


def keep_list_decimal(folder: Path, decimal: Decimal) -> None:
    """Write a ``study.toml`` with the mark, unless it is the default or there is such a file.

    :raises OutputError: the file can't be written.
    """
    if decimal != list_decimal(folder):
        with atomic(folder / SETTINGS_FILE) as partial:
            partial.write_text(f'decimal = "{decimal}"\n', encoding="utf-8")


_SESSION_KINDS: Mapping[str, type] = {
    field.name: type(field.default)
    for field in fields(Settings)
    if type(field.default) in (bool, int, float, str)
}


_QUALITY_KINDS: Mapping[str, type] = {field.name: type(field.default) for field in fields(QualityLimits)}


_KINDS: Mapping[str, type] = {
    **_SESSION_KINDS,
    "model": str,
    "device": str,
    "jobs": int,
    "quality": dict,
    "decimal": str,
}


_WANTED = {
    str: 'a text in quotes, such as "longest"',
    bool: "true or false",
    int: "a whole number above 0",
    float: "a number, 0 or above",
    dict: "a table: [quality], and below it its limits",
}


def _setting(path: Path, table: str, key: str, value: Any, kinds: Mapping[str, type]) -> Any:
    if key not in kinds:
        raise InputError(f"{path}: {shown(table + key)} is no setting{did_you_mean(key, kinds)}")
    return setting(path, table, key, value, kinds[key], _WANTED)
