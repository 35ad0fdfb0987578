"""BORIS's own code without a screen: its projects are read and exported, its windows are never opened.

Run as a program: FILE.boris FOLDER. BORIS imports its windows wherever it goes; empty stand-ins take the
place of Qt, of mpv and of what draws. Nothing that reads, checks or exports a project is replaced, except
that ``tablib``'s table, which BORIS fills row by row, is a list here and is written as tabs.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

STAND_INS = ("PyQt5", "tablib", "pyreadr", "exifread", "matplotlib", "mpl_toolkits")
ALSO = ("boris.mpv2", "PIL.ImageQt")


class Anything(type):
    """A class of any name, with whatever is asked of it."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)

    def __or__(cls, other: object) -> Any:
        return cls


def stand_in(name: str) -> Any:
    def call(self: object, *arguments: Any, **_: Any) -> Any:
        return arguments[0] if arguments else self  # a decorator gives back what it is put on

    return Anything(name, (), {"__call__": call, "__init__": lambda self, *_, **__: None})


class Dataset(list[Any]):
    title = ""

    def export(self, kind: str) -> str:
        parting = {"tsv": "\t", "csv": ","}[kind]
        return "".join(parting.join(map(str, row)) + "\n" for row in self)


class Module(types.ModuleType):
    sofile = "libmpv.so.2"
    Dataset = Dataset

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, *_: object) -> Any:
        if name.split(".")[0] in STAND_INS or name in ALSO:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Module:
        return Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def start() -> Any:
    """BORIS's package without its main window."""
    sys.meta_path.insert(0, StandIns())
    spec = importlib.util.find_spec("boris")
    package: Any = types.ModuleType("boris")
    package.__path__ = list(spec.submodule_search_locations or [])
    package.__spec__ = spec
    sys.modules["boris"] = package


AGGREGATED = [
    *("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)"),
    *("Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject"),
    *("Observation duration by subject by observation", "Behavior", "Behavioral category", "Behavior type"),
    *("Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start", "Image index stop"),
    *("Image file path start", "Image file path stop", "Comment start", "Comment stop"),
]
"""The head that BORIS's window puts above aggregated events."""


def main(path: str, folder: Path) -> dict[str, Any]:
    start()
    from boris import config, export_observation, project_functions

    name, changed, project, message = project_functions.open_project_json(path)
    codes = [behavior["code"] for behavior in project[config.ETHOGRAM].values()]
    parameters = {
        config.SELECTED_SUBJECTS: [config.NO_FOCAL_SUBJECT],
        config.SELECTED_BEHAVIORS: codes,
        "time": config.TIME_FULL_OBS,
    }
    exports = []
    for observation in project[config.OBSERVATIONS]:
        file = str(folder / f"{observation}.tsv")
        events = project[config.OBSERVATIONS][observation]
        exports.append(
            export_observation.export_tabular_events(
                project, parameters, observation, events, project[config.ETHOGRAM], file, "tsv"
            )
        )
        rows, _ = export_observation.export_aggregated_events(project, parameters, observation)
        rows.insert(0, AGGREGATED)
        (folder / f"{observation}.csv").write_text(rows.export("csv"))
    return {
        "name": name,
        "changed": changed,
        "message": message,
        "error": project.get("error", ""),
        "integrity": project_functions.check_project_integrity(
            project, config.S, path, media_file_available=False
        ),
        "paired": [
            project_functions.check_state_events_obs(one, project[config.ETHOGRAM], events, config.S)
            for one, events in project[config.OBSERVATIONS].items()
        ],
        "exports": exports,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
