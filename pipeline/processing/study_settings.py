"""Read ``study.toml``, the settings of a study."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.processing.session import QualityLimits, Settings
from pipeline.store.spreadsheet import (
    did_you_mean,
    read_toml,
    setting,
    shown,
)

SETTINGS_FILE = "study.toml"


def read_settings(folder: Path) -> dict[str, object]:
    """Read the settings of ``study.toml``; empty without such a file.

    :returns: the given settings: fields of :class:`pipeline.processing.session.Settings`, ``model``,
        ``device``, ``jobs``; and under ``quality`` fields of
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
    try:
        Settings(**{name: settings[name] for name in _SESSION_KINDS if name in settings})
    except InputError as error:
        raise InputError(f"{path}: {str(error).replace('`', '')}") from error
    return settings


_SESSION_KINDS: Mapping[str, type] = {
    field.name: type(field.default)
    for field in fields(Settings)
    if type(field.default) in (bool, int, float, str)
}


_QUALITY_KINDS: Mapping[str, type] = {field.name: type(field.default) for field in fields(QualityLimits)}


_KINDS: Mapping[str, type] = {**_SESSION_KINDS, "model": str, "device": str, "jobs": int, "quality": dict}


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
