"""What the tests share: the real clips, and plain functions in the place of the two trained parts."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fakes import FAKE_WEIGHTS, LANDMARKS, find_squares, judge_by_light
from made_once import made_once
from small_studies import make_small_study
from videos import encode, with_faces

from pipeline.faces.detection import CropSpec
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import Face, FrameFaces

if TYPE_CHECKING:  # torch takes seconds to import, also in the processes that tests start
    from pipeline.faces.mtcnn import Cascade


# a fifth of the time in which tests are collected: nothing that is imported is garbage
gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of clips and data beside the project."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of shared clips and data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def clips(shared: Path) -> Path:
    return shared / "videos"


@pytest.fixture(autouse=True, scope="session")
def _quiet_decord() -> None:
    import decord

    decord.logging.set_level(decord.logging.QUIET)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What a test writes need not outlive a power cut; each of thousands of waits takes milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # still fails for what is no open file
        yield


@pytest.fixture(scope="session")
def fake_networks() -> Networks:
    """Plain functions: squares are faces, light is happiness."""
    return Networks(find_squares, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")


@pytest.fixture(scope="session")
def real_detector() -> "Cascade":
    from pipeline.faces.mtcnn import Cascade

    return Cascade()


@pytest.fixture(scope="session")
def has_weights() -> bool:
    """Whether trained weights come with the program."""
    from emonext.weight_files import SHIPPED

    return bool(SHIPPED)


@pytest.fixture(scope="session")
def networks(has_weights: bool) -> Networks:
    """The detector of a run, and the default classifier where its weights are there; no face embedder."""
    from pipeline.faces.detection import DEFAULT_MIN_FACE_PX
    from pipeline.faces.upright import UprightCascade

    cascade = UprightCascade(DEFAULT_MIN_FACE_PX)
    found = Networks(cascade, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu", cascade.refine, search=cascade)
    if not has_weights:
        return found
    from emonext import Classifier

    classify = Classifier(device="cpu")
    prepare = classify.card.preprocessing
    crop_spec = CropSpec(prepare.crop_px, prepare.face_scale, prepare.face_shift)
    weights = {"name": classify.card.name, "sha256": classify.sha256}
    return replace(found, classify=classify.read, crop_spec=crop_spec, weights=weights)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network that is small enough to be written and read at once."""
    import torch

    from emonext.checkpoint import Card, save_weights
    from emonext.model import Architecture, EmoNeXt
    from emonext.preprocessing import Preprocessing

    torch.manual_seed(0)
    card = Card("small", Architecture((1, 1, 1, 1), (8, 16, 24, 32), 48), Preprocessing(48, 48))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(EmoNeXt(card.architecture), card, path)
    return path


@pytest.fixture
def make_face() -> Callable[..., Face]:
    """A face by the centre of its box and its side, px."""

    def make(x: float, y: float, side: float = 60, **changes: object) -> Face:
        centre = np.array([x, y], np.float32)
        values = {
            "box_xyxy": np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32),
            "detection": 0.99,
            "landmarks": centre + side * LANDMARKS,
            "crop": np.full((48, 48, 3), 128, np.uint8),
            "face_px": float(side),
            "sharpness": 100.0,
            "brightness": 0.5,
            "yaw": 0.0,
            "pitch": 0.0,
            "roll": 0.0,
        }
        return Face(**{**values, **changes})

    return make


@pytest.fixture
def make_samples() -> Callable[..., list[FrameFaces]]:
    """Faces of consecutive samples, at five per second or at the given times."""

    def make(*faces: tuple[Face, ...], times_s: list[float] | None = None) -> list[FrameFaces]:
        times_s = times_s or [number / 5 for number in range(len(faces))]
        return [FrameFaces(n, n * 5, times_s[n], True, tuple(found)) for n, found in enumerate(faces)]

    return make


@pytest.fixture
def make_recording(tmp_path: Path) -> Callable[..., Path]:
    """A drawn video: for each second of it, at which corners faces are."""

    def make(name: str, *seconds: list[tuple[int, int]], rate: int = 10) -> Path:
        pictures = [with_faces(corners) for corners in seconds for _ in range(rate)]
        return encode(tmp_path / name, pictures, rate=rate)

    return make


@pytest.fixture
def study(make_recording: Callable[..., Path], fake_networks: Networks, tmp_path: Path) -> Path:
    """The output folder of one processed session, with and without a face in it."""
    session = Session("P1", "S1", make_recording("P1_S1.mp4", [(40, 40)], [], [(40, 40)]))
    process_session(session, tmp_path / "study", Settings(), fake_networks)
    return tmp_path / "study"


@pytest.fixture(scope="session")
def raw_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve patients, eight sessions each, and what raters say of them; to be read only."""
    from pipeline.checks.demo_study import make_study

    return made_once(tmp_path_factory, "raw-study", make_study)


@pytest.fixture(scope="session")
def summarized_study(raw_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the tables of sessions, measures and episodes; to be read only."""
    from pipeline.analysis.summaries import summarize_folder

    def make(out: Path) -> None:
        shutil.copytree(raw_study, out, dirs_exist_ok=True)
        summarize_folder(out)

    return made_once(tmp_path_factory, "summarized-study", make)


@pytest.fixture(scope="session")
def made_study(raw_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all that follows from it; to be read only."""
    return made_once(tmp_path_factory, "made-study", lambda out: derive_copy(raw_study, out))


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Timelines and lists of four patients, eight sessions of four minutes each; to be copied."""
    return made_once(tmp_path_factory, "small-study", make_small_study)


@pytest.fixture(scope="session")
def derived_small_study(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all that follows from it; to be read or copied."""
    return made_once(tmp_path_factory, "derived-small-study", lambda out: derive_copy(small_study, out))


def derive_copy(study: Path, out: Path) -> None:
    from pipeline.results.derive import derive

    shutil.copytree(study, out, dirs_exist_ok=True)
    derive(out)


PLAIN_BROWSER = [
    "--no-sandbox",  # for tests that run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """For a module, not for all: playwright's event loop would run on beside tests that start their own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    program = (
        shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if program is None:
        pytest.skip("needs chromium on the PATH")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=PLAIN_BROWSER)
        yield started
        started.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """With no page but the test's own: those of the tests before would go on drawing and playing."""
    yield chromium
    for context in chromium.contexts:
        context.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bf16",
        choices=("on", "off"),
        help="let every test compute as on a processor with or without bf16; else as this one, and where "
        "the difference matters both ways",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for ``bf16`` both ways, or as ``--bf16`` says."""
    if "bf16" in metafunc.fixturenames:
        forced = metafunc.config.getoption("bf16")
        values = [False, True] if forced is None else [forced == "on"]
        metafunc.parametrize("bf16", values, ids=lambda on: "bf16" if on else "float32", indirect=True)


@pytest.fixture
def bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor has bf16; without the instructions torch computes the same, slowly."""
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param})
    return request.param


@pytest.fixture(autouse=True, scope="session")
def _forced_bf16(request: pytest.FixtureRequest) -> Iterator[None]:
    forced = request.config.getoption("bf16")
    if forced is None:
        yield
        return
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": forced == "on"})
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what opens a browser; what takes longest comes first, so that workers end together."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
