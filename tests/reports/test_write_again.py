"""reports.write: only pages that would show something else are written, and they are those of a full run."""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.review.films import find_video
from pipeline.store.parquet import read_metadata, to_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.status import read_outcomes, record
from pipeline.store.timeline import TIMELINE_SCHEMA, read_timeline, reading_digest
from reports import ReportOptions, update_reports, write_reports
from reports.made_pages import MADE_FILE
from reports.outdated import made_of
from reports.write import update_session_pages

SESSIONS = ("S01", "S02", "S03", "S08")


@pytest.fixture(scope="module")
def study(derived_small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients of four sessions, with their pages: every test writes many of them."""
    out = shutil.copytree(derived_small_study, tmp_path_factory.mktemp("pages") / "study")
    for path in out.glob("timelines/*/*.parquet"):
        if path.stem not in SESSIONS:
            path.unlink()
    lines = (out / "events.csv").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.split(",")[1] in ("session_id", *SESSIONS)]
    (out / "events.csv").write_text("".join(kept), "utf-8")
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
    """The pages, in whatever folder (problems of the study's files name it), with any nonce."""
    place = str(out).encode()
    return {
        name: _NONCE.sub(rb"\1", content.replace(place, b"OUT")) for name, (_, content) in pages(out).items()
    }


_NONCE = re.compile(rb"""(nonce(?:-|="))[\w-]{22}""")


def touch_status(out: Path) -> None:
    """As at the end of a run."""
    (out / "status.parquet").touch()


OF_P02 = {"P02/index.html", *(f"P02/{name}.html" for name in SESSIONS)}


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


def spoil_a_page(out: Path) -> set[str]:
    (out / "reports" / "P03" / "S01.html").write_text("an older one")
    return {"P03/S01.html"}


def put_review(out: Path, patient_id: str, session_id: str) -> Path:
    """A page of review, as far as other pages need it; return its path."""
    ids = patient_id, session_id
    (kept,) = made_of({ids: reading_digest(read_timeline(timeline_path(out, *ids)))})
    page = out / "review" / patient_id / f"{session_id}.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<meta name="timeline" content="{kept}">')
    return page


def review(out: Path) -> set[str]:
    put_review(out, "P04", "S02")
    return {"P04/S02.html"}


def add_an_event(out: Path) -> set[str]:
    with (out / "events.csv").open("a", encoding="utf-8") as file:
        file.write("P01,S01,60.5,visitor\n")
    return {"P01/S01.html"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [process_again, leave_out, lose_a_page, spoil_a_page, review, add_an_event, touch_status]
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


@pytest.mark.parametrize(
    "content", ["", "[]", '{"P01/S01.html": 7}', '{"P01/S01.html": ["", "", true, "", 1]}']
)
def test_without_what_was_written_every_page_is(out: Path, study: Path, content: str) -> None:
    (out / "reports" / MADE_FILE).write_text(content)
    before = pages(out)
    touch_status(out)
    update_reports(out)
    assert written(before, out) == before.keys() - {"index.html", "study.html"}
    assert contents(out) == contents(study)


def test_a_review_that_is_deleted_is_no_longer_linked(out: Path) -> None:
    touch_status(out)
    update_reports(out, find_video=find_video)
    page, link = out / "reports" / "P01" / "S02.html", "review/P01/S02.html"
    reviewed = put_review(out, "P01", "S02")
    update_session_pages(out, [("P01", "S02")], find_video)  # as `emonext review` does
    assert link in page.read_text(encoding="utf-8")
    reviewed.unlink()
    touch_status(out)
    update_reports(out, find_video=find_video)
    assert link not in page.read_text(encoding="utf-8")


def test_the_review_of_an_earlier_timeline_is_not_linked(out: Path) -> None:
    put_review(out, "P04", "S02").write_text("of another timeline")
    (out / "review" / "P04" / "S02.mp4").write_bytes(b"a copy of another timeline")
    update_session_pages(out, [("P04", "S02")], find_video)
    page = (out / "reports" / "P04" / "S02.html").read_text("utf-8")
    assert "The session was processed again after the copy of its video was made." in page
    assert "review/P04/S02.html" not in page


def test_pages_of_a_review_are_not_written_twice(out: Path) -> None:
    touch_status(out)
    update_reports(out, find_video=find_video)
    review(out)
    update_session_pages(out, [("P04", "S02")], find_video)
    before = pages(out)
    touch_status(out)
    update_reports(out, find_video=find_video)
    assert written(before, out) == set()


def interrupt_after(page: str, patch: pytest.MonkeyPatch) -> None:
    put = os.replace

    def stop(source: Path, target: Path) -> None:
        put(source, target)
        if str(target).endswith(page):
            raise KeyboardInterrupt

    patch.setattr(os, "replace", stop)


def test_what_an_interrupted_run_wrote_does_not_stay(
    out: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after("P01/S01.html", patch)
        with pytest.raises(KeyboardInterrupt):
            write_reports(out, options=ReportOptions("fr"))
    touch_status(out)
    update_reports(out)
    assert contents(out) == contents(study)


def test_an_event_that_is_taken_back_does_not_stay(
    out: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = (out / "events.csv").read_bytes()
    add_an_event(out)
    touch_status(out)
    with monkeypatch.context() as patch:
        interrupt_after("P01/S01.html", patch)
        with pytest.raises(KeyboardInterrupt):
            update_reports(out)
    (out / "events.csv").write_bytes(listed)
    touch_status(out)
    update_reports(out)
    assert contents(out) == contents(study)


def test_the_review_of_a_session_with_a_dot_in_its_id_is_linked(out: Path) -> None:
    ids = "P01", "S02.a"
    path = timeline_path(out, "P01", "S02")
    columns = read_timeline(path).rows.to_dict(as_series=False)
    columns["session_id"] = [ids[1]] * len(columns["session_id"])
    write_table(timeline_path(out, *ids), to_table(TIMELINE_SCHEMA, columns), read_metadata(path))
    record(out, replace(read_outcomes(out)["P01", "S02"], session_id=ids[1]))
    update_reports(out)
    put_review(out, *ids)
    touch_status(out)
    update_reports(out)
    assert "review/P01/S02.a.html" in (out / "reports" / "P01" / "S02.a.html").read_text(encoding="utf-8")


def test_an_index_from_before_the_clock_was_set_back_is_written_again(out: Path) -> None:
    index = out / "reports" / "index.html"
    leave_out(out)
    ahead_s = time.time() + 86_400
    os.utime(index, (ahead_s, ahead_s))
    touch_status(out)
    update_reports(out)
    assert "P02/S08.html" not in index.read_text(encoding="utf-8")
