"""Every command and Python line of the documents runs; generated documents are up to date."""

import csv
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from command_line import ENGINE, name_of
from documents import COMMAND, ROOT, documents
from made_once import made_once
from PIL import Image
from videos import encode

import cli
from pipeline.records import MARKER_COLUMNS, recording_id
from pipeline.store.encryption import use_no_key
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    r"emonext agree study$": "needs the tables of raters: test_rate",
    r"emonext adapt": "needs the tables of raters: test_adapt_command",
    r"emonext rate": "needs more than the seconds that are recorded here: test_rate",
    r"make |\.ci/run": "installs packages and runs for minutes; .ci/run does it",
    r"(source|pip|jupyter) |cd ": "changes the environment, not results",
    r"(ray|chmod|export|emonext process /shared/)": "a cluster; see tests/processing/test_ray_cluster.py",
    r"python tests/|EMONEXT_FUZZ_MINUTES=": "runs for minutes, or writes the documents that are checked here",
    r"emonext train ": "runs for hours; tests/emonext/test_training.py trains a small network",
    r"emonext evaluate atto fer2013/": "needs FER2013; tests/emonext/test_evaluation.py measures made faces",
    r"emonext weights convert ": "needs a published checkpoint; tests/emonext/test_published.py makes one",
    r"emonext (adapt|summarize study --adapt)": "needs raters; tests/commands/test_adapt_command.py",
    r"emonext demo": "runs for a minute; tests/checks/ runs both demos",
    r"emonext notebooks study$": "starts JupyterLab; tests/commands/test_machine_commands.py",
    r"emonext bench ": "measures for a minute; tests/checks/test_benchmark.py runs it",
}
"""What a line begins with that is not run → why not."""

EXIT_CODES = {"emonext preflight": {0, 1}}
"""Of commands that may find something in the clip of this test; all others end with 0."""

ANSWERS = {"emonext purge study --patient P012": ["--yes"]}
"""What nobody is there to answer."""


@dataclass(frozen=True)
class Block:
    """A block of code of a document."""

    language: str
    lines: tuple[str, ...]


def blocks(path: Path) -> Iterator[Block]:
    for language, text in re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", path.read_text("utf-8")):
        yield Block(language, tuple(text.splitlines()))


def commands(path: Path) -> list[str]:
    """The commands of a document, without comments."""
    lines = [line for block in blocks(path) if block.language == "sh" for line in block.lines]
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [command for line in bare if line for command in line.split(" && ")]


def why_not(command: str) -> str | None:
    return next((why for begin, why in NOT_RUN.items() if re.match(begin, command)), None)


def emonext(command: str) -> int:
    """Runs the command in this process, and its sessions too → its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*ENGINE)
        patch.setattr(sys, "argv", [*shlex.split(command), *ANSWERS.get(command, [])])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:
            use_no_key()
    return 0


def give_consent() -> None:
    """What people do with a list that was begun."""
    path = Path("recordings/sessions.csv")
    first, *rows = csv.reader(path.read_text("utf-8-sig").splitlines())
    for row in rows:
        row[first.index("consent")] = "yes"
    write_csv(path, [tuple(row) for row in (first, *rows)])


def fill_in_plan() -> None:
    path = Path("study/plan.toml")
    path.write_text(path.read_text("utf-8").replace("conditions = []", 'conditions = ["music"]'), "utf-8")


def fill_in_page() -> None:
    """As the page's script saves it."""
    found = re.search(r'id="preflight-data">(.*?)</script>', Path("recordings.html").read_text("utf-8"))
    assert found
    data = json.loads(found[1])
    consent = data["columns"].index("consent")
    rows = [(*row[:consent], "yes", *row[consent + 1 :]) for row in data["rows"]]
    Path("Downloads").mkdir(exist_ok=True)
    write_csv(Path("Downloads") / data["file"], [tuple(data["columns"]), *rows])


AFTERWARDS = {
    "emonext preflight recordings/ --page recordings.html": fill_in_page,
    "emonext study init recordings/": give_consent,
    "emonext study plan study": fill_in_plan,
}
"""What a document tells people to do after a command."""


def clip(path: Path, seconds: int) -> Path:
    """A woman's face (Eileen Collins, NASA, public domain), nearly still."""
    from skimage.data import astronaut

    portrait = np.asarray(Image.fromarray(astronaut()).resize((256, 256)))
    pictures = []
    for number in range(10 * seconds):
        picture = np.full((272, 480, 3), 90, np.uint8)
        picture[8 : 8 + 256, 100 + number % 4 : 356 + number % 4] = portrait
        pictures.append(picture)
    return encode(path, pictures, rate=10)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the documents speak of: recordings, a processed study, ratings, labelled frames, weights."""
    return made_once(tmp_path_factory, "documents", make_folder)


def make_folder(folder: Path) -> None:
    recordings = folder / "recordings"
    recordings.mkdir()
    clip(recordings / "P012_S01.mp4", 3)
    clip(recordings / "P012_S02.mp4", 2)
    shutil.copy(recordings / "P012_S01.mp4", folder)
    shutil.copy(recordings / "P012_S02.mp4", folder / "trial.mp4")
    clip(folder / "visit.mov", 1)
    (folder / "ratings").mkdir()
    rows = [("patient_id", "session_id", "start_s", "end_s", "code")]
    rows += [("P012", "S01", "1", "2", "smile")]
    write_csv(folder / "ratings" / "anna.csv", rows)
    faces = [("image", "label", "age_group", "split")]
    for number in range(8):
        label, grey = ("happy", 200) if number % 2 else ("sad", 60)
        picture = np.clip(np.random.default_rng(number).normal(grey, 10, (48, 48)), 0, 255)
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
        faces.append((f"{number}.png", label, "old" if number < 4 else "young", "val"))
    write_csv(folder / "frames.csv", faces)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert emonext("emonext process recordings/ --out study --jobs 1") == 0
        markers = {"patient_id": "P012", "session_id": "S01", "code": "song", "start_s": "1", "end_s": ""}
        files = read_timeline(timeline_path(folder / "study", "P012", "S01")).metadata["video"]["files"]
        markers |= {"recording": recording_id([file["sha256"] for file in files])}
        row = tuple(markers.get(name, "2026-03-02T14:05:00") for name in MARKER_COLUMNS)
        write_csv(folder / "markers_P012_S01.csv", [tuple(MARKER_COLUMNS), row])


def write_csv(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def place(folder: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder in which a document's commands are run."""
    place = tmp_path / "place"
    shutil.copytree(folder, place)
    (place / "runs" / "tiny").mkdir(parents=True)
    shutil.copy(small_weights, place / "runs" / "tiny" / "weights.safetensors")
    shutil.copy(small_weights, place / "mine.safetensors")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(place))
    monkeypatch.chdir(place)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_command_runs(path: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # whom a purge deletes, other commands want
    for command in sorted(commands(path), key=lambda command: command.startswith("emonext purge")):
        if why_not(command) is None:
            allowed = next((codes for begin, codes in EXIT_CODES.items() if command.startswith(begin)), {0})
            code = emonext(command)
            assert code in allowed, (command, capfd.readouterr().err)
            AFTERWARDS.get(command, lambda: None)()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_python_line_runs(path: Path, place: Path) -> None:
    for block in blocks(path):
        if block.language == "python":
            exec(compile("\n".join(block.lines), name_of(path), "exec"), {})  # noqa: S102


def test_every_settings_file_is_read(place: Path) -> None:
    from pipeline.processing.study_settings import read_settings

    (text,) = [block for path in DOCUMENTS for block in blocks(path) if block.language == "toml"]
    (place / "study.toml").write_text("\n".join(text.lines), "utf-8")
    assert read_settings(place)["sample_fps"] == 5.0


def test_every_block_is_of_a_language_that_is_tried() -> None:
    assert {block.language for path in DOCUMENTS for block in blocks(path)} == {"sh", "python", "toml"}


def test_every_reason_for_not_running_is_needed() -> None:
    named = [command for path in DOCUMENTS for command in commands(path)]
    for begin in NOT_RUN:
        assert any(re.match(begin, command) for command in named), begin


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_what_is_made_from_the_program_is_current(path: Path) -> None:
    assert path.read_text("utf-8") == documents()[path], f"{name_of(path)}: run `{COMMAND}`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), target
        assert not heading or heading in anchors(linked), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_path_of_the_program_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"`((?:pipeline|reports|emonext|tests|notebooks)/[\w./-]*)`", path.read_text("utf-8"))
    for name in named:
        assert (ROOT / name).exists() or "NAME" in name, name


def test_every_test_that_stands_in_for_a_command_exists() -> None:
    for why in NOT_RUN.values():
        for name in re.findall(r"tests/[\w/]+(?:\.py)?", why):
            assert (ROOT / name).exists(), name


def anchors(path: Path) -> set[str]:
    """As GitHub names the headings of a document."""
    titles = re.findall(r"(?m)^#+ (.*)$", path.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short_and_leads_to_every_document() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.encode()) <= 6_000
    for path in DOCUMENTS[1:]:
        assert f"({name_of(path)})" in text


def test_the_document_on_privacy_names_each_command_that_is_logged() -> None:
    calls = re.compile(r'(?:work_in|audited)\(\w+, "(\w+)"')
    sources = [path for room in ("pipeline", "reports") for path in (ROOT / room).rglob("*.py")]
    logged = {name for path in sources for name in calls.findall(path.read_text(encoding="utf-8"))}
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    listed = text.partition("## Audit log")[2].partition("lock the folder")[0]
    assert "adapt" in logged
    assert [name for name in sorted(logged) if not re.search(rf"`(study )?{name}\b", listed)] == []
