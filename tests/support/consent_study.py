"""A study in which consent is given, refused and withdrawn."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from roles import confirm_everybody
from videos import encode, with_faces

from pipeline.agreement.compare import agree
from pipeline.agreement.results import write_disagreements, write_figures
from pipeline.analysis.summaries import read_sessions
from pipeline.errors import InputError
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.export import FORMATS, export
from pipeline.exchange.ratings import read_ratings
from pipeline.privacy.mentions import IdPattern, mentions
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.sessions_list import read_study
from pipeline.results.derive import derive, update_derived
from pipeline.review.annotated_video import open_material
from pipeline.review.people import find_people
from pipeline.review.people_table import write_people
from pipeline.store.audit import IDS_FILE, audited
from pipeline.store.status import Outcome, is_damaged, read_status, sessions_in
from pipeline.store.timeline import written_sessions
from pipeline.video.file_content import sha256_of
from reports import own_text, write_reports
from reports.forms.people import write_people_page
from reports.pages.agreement import write_agreement_page

WHO, OTHER = ("P012", "S01"), ("P013", "S01")
"""Whose consent is asked about, and somebody who gave it."""

VIDEO = "Marie Curie.mp4"


@dataclass
class Study:
    """A folder of two recordings, and the list of both; the same place in every test: results name it."""

    folder: Path
    networks: Networks

    def restore(self, state: str) -> None:
        """ "recordings" alone, with the "results" of both, or with "everything" that is made of results."""
        kept = self.folder.with_name(state)
        if not kept.exists():
            if state == "recordings":
                for name, corner in ((VIDEO, (40, 60)), ("b.mp4", (80, 60))):
                    encode(self.folder / name, [with_faces([corner])] * 10, rate=10)
            elif state == "results":
                self.restore("recordings")
                self.process("yes")
            else:
                self.restore("results")
                self.make_everything()
            shutil.copytree(self.folder, kept)
        shutil.rmtree(self.folder)
        shutil.copytree(kept, self.folder)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def video(self) -> Path:
        return self.folder / VIDEO

    def sessions(self, said: str) -> list[Session]:
        listed = self.folder / "sessions.csv"
        rows = [(*WHO, VIDEO, "music", said), (*OTHER, "b.mp4", "music", "yes")]
        lines = [("patient_id", "session_id", "video", "condition", "consent"), *rows]
        listed.write_text("".join(f"{';'.join(line)}\n" for line in lines))
        study = read_study(listed)
        assert not study.problems
        return list(study.sessions)

    def process(self, said: str, **options: Any) -> list[Outcome]:
        return self.run(self.sessions(said), **options)

    def run(self, sessions: list[Session], **options: Any) -> list[Outcome]:
        engine = in_this_process(self.networks)
        given = {"write_pages": write_reports, "own_text": own_text()} | options
        return process_sessions(sessions, self.out, Settings(), engine, "0" * 64, **given)

    def make_everything(self) -> None:
        """All that a person can have made of the results."""
        out = self.out
        (out / "ratings").mkdir()
        for patient, session in (WHO, OTHER):
            (out / "review" / patient).mkdir(parents=True)
            (out / "review" / patient / f"{session}.mp4").write_bytes(b"film")
            (out / "review" / patient / f"{session}.html").write_text(f"{patient} {session}")
            (out / ".unfinished" / patient / session).mkdir(parents=True)
            (out / ".unfinished" / patient / session / "00000.npz").write_bytes(b"")
            (out / "ratings" / f"{patient}_{session}.csv").write_text(
                f"patient_id,session_id,start_s,end_s,code\n{patient},{session},0,1,happy\n"
            )
        found = find_people(out, None)
        table = write_people(found, out)
        write_people_page(found, table, out / "people.html")
        confirm_everybody(out)
        for kind in FORMATS:
            export(out, kind, out / "exports" / kind)
        rated = read_ratings([out / "ratings"], session_names(out), read_codes(None))
        with audited(out, "agree", {rating.ids for rating in rated.ratings}):
            compared = agree(out, rated, 1.0)
            write_figures(compared, out / "agreement" / "figures.json")
            write_disagreements(compared, out / "agreement" / "disagreements.csv")
            write_agreement_page(compared, out / "reports" / "agreement.html", out / "review")
        (out / "ratings" / f"{'_'.join(WHO)}.csv").unlink()  # the raters' own


def harm_status(out: Path, how: str) -> None:
    path = out / "status.parquet"
    if how == "damaged" and path.exists():
        path.write_bytes(path.read_bytes()[:100])
    elif how == "deleted":
        path.unlink(missing_ok=True)


def traces(study: Study, *, of_recording: bool = True) -> list[str]:
    """Every file in which a byte of the person or of the recording is left, by means of its own."""
    out, video = study.out, study.video
    sha256 = sha256_of(video)
    words = IdPattern(WHO[0], None, {WHO[0]: {WHO[1]}, OTHER[0]: {OTHER[1]}})
    found = []
    for top, folders, files in os.walk(out):
        if Path(top) == out:
            folders[:] = [name for name in folders if name != "withdrawn"]
        names = [name for name in (*folders, *files) if WHO[0] in name or VIDEO in name]
        found += [str(Path(top, name)) for name in names]
        for path in (Path(top, name) for name in files):
            content = path.read_bytes()
            if path.suffix == ".parquet" and not (path.name == "status.parquet" and is_damaged(out)):
                content += str(pl.read_parquet(path).to_dicts()).encode()
            ids = WHO[0].encode() in content or mentions(path, words, own_text())
            if ids and path.name not in (IDS_FILE, "status.parquet"):
                found.append(str(path))
            recording = [text for text in (str(video), VIDEO, sha256) if text.encode() in content]
            if recording and of_recording:
                found.append(f"{path}: {recording}")
    return found


def assert_nothing_is_shown(study: Study) -> None:
    """Whatever the status says, and whatever is run."""
    out = study.out
    assert traces(study) == []
    assert WHO not in written_sessions(out)
    assert WHO not in sessions_in(out)
    rows = {row["patient_id"]: row for row in read_status(out).to_dicts()}
    row = rows[WHO[0]]
    assert row["state"] in ("no_consent", "withdrawn")
    assert (row["reason"], row["videos"], row["video_sha256"], row["fingerprint"]) == ("", [], "", "")
    derive(out)
    assert set(read_sessions(out)["patient_id"]) == {OTHER[0]}
    write_reports(out)
    update_derived(out)
    assert {person.patient_id for person in find_people(out, None)} == {OTHER[0]}
    (exported, *_) = export(out, "csv", out / "exports" / "again")
    assert WHO[0] not in exported.read_text()
    with pytest.raises(InputError, match="consent to P012 S01 was withdrawn or never given"):
        open_material(out, *WHO)
    assert set(pl.read_parquet(f"{out}/timelines/**/*.parquet")["patient_id"]) == {OTHER[0]}
    assert traces(study) == []


# --- the matrix

STATUS = pytest.mark.parametrize("status", ["whole", "damaged", "deleted"])
