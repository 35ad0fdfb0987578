"""reports.write: only pages that would show something else are written, and they are those of a full run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.store.paths import timeline_path
from reports import ReportOptions, update_reports, write_reports
from reports.made_pages import MADE_FILE


@pytest.fixture(scope="module")
def study(derived_small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients of eight sessions, with their pages."""
    out = shutil.copytree(derived_small_study, tmp_path_factory.mktemp("pages") / "study")
    write_reports(out)
    return out


@pytest.fixture
def out(study: Path, tmp_path: Path) -> Path:
    return shutil.copytree(study, tmp_path / "study")


def pages(out: Path) -> dict[str, tuple[int, bytes]]:
    """Page → when it was written, and its content."""
    found = sorted((out / "reports").rglob("*.html"))
    return {
        path.relative_to(out / "reports").as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in found
    }


def written(before: dict[str, tuple[int, bytes]], out: Path) -> set[str]:
    """Pages that are new or were written again, without the two that always are."""
    return {
        name for name, (when, _) in pages(out).items() if name not in before or before[name][0] != when
    } - {"index.html", "study.html"}


def contents(out: Path) -> dict[str, bytes]:
    """The pages, in whatever folder; problems of the study's files name it."""
    place = str(out).encode()
    return {name: content.replace(place, b"OUT") for name, (_, content) in pages(out).items()}


def touch_status(out: Path) -> None:
    """As at the end of a run."""
    (out / "status.parquet").touch()


OF_P02 = {"P02/index.html", *(f"P02/S{n:02}.html" for n in range(1, 9))}


def process_again(out: Path) -> set[str]:
    path = timeline_path(out, "P02", "S03")
    shutil.copyfile(path, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)
    return {"P02/S03.html"}


def leave_out(out: Path) -> set[str]:
    timeline_path(out, "P02", "S08").unlink()
    (out / "reports" / "P02" / "S08.html").unlink()
    return OF_P02 - {"P02/S08.html"}


def lose_a_page(out: Path) -> set[str]:
    (out / "reports" / "P03" / "S01.html").unlink()
    return {"P03/S01.html"}


def review(out: Path) -> set[str]:
    (out / "review" / "P04").mkdir(parents=True)
    (out / "review" / "P04" / "S02.html").write_text("")
    return {"P04/S02.html"}


def add_an_event(out: Path) -> set[str]:
    with (out / "events.csv").open("a", encoding="utf-8") as file:
        file.write("P01,S01,60.5,visitor\n")
    return {"P01/S01.html"}


@pytest.mark.parametrize(
    "change", [process_again, leave_out, lose_a_page, review, add_an_event, touch_status]
)
def test_what_changed_is_written_and_the_pages_are_those_of_all(
    out: Path, tmp_path: Path, change: Callable[[Path], set[str] | None]
) -> None:
    before = pages(out)
    expected = change(out) or set()
    anew = shutil.copytree(out, tmp_path / "anew" / "study")
    touch_status(out)
    update_reports(out)
    assert written(before, out) == expected
    write_reports(anew)
    assert contents(out) == contents(anew)


def test_a_session_that_is_added_is_on_its_own_page_and_those_of_its_patient(out: Path, study: Path) -> None:
    leave_out(aside := shutil.copytree(study, out.parent / "less" / "study"))
    write_reports(aside)
    before = pages(aside)
    shutil.copy2(timeline_path(out, "P02", "S08"), timeline_path(aside, "P02", "S08"))
    touch_status(aside)
    update_reports(aside)
    assert written(before, aside) == OF_P02
    assert contents(aside) == contents(study)


def test_other_options_write_every_page(out: Path) -> None:
    before = pages(out)
    write_reports(out, options=ReportOptions("fr"))
    assert written(before, out) == before.keys() - {"index.html", "study.html"}
    before = pages(out)
    touch_status(out)
    update_reports(out)
    assert written(before, out) == set()


@pytest.mark.parametrize("content", ["", "[]", '{"P01/S01.html": 7}', '{"P01/S01.html": ["", true, "", 1]}'])
def test_without_what_was_written_every_page_is(out: Path, study: Path, content: str) -> None:
    (out / "reports" / MADE_FILE).write_text(content)
    before = pages(out)
    touch_status(out)
    update_reports(out)
    assert written(before, out) == before.keys() - {"index.html", "study.html"}
    assert contents(out) == contents(study)
