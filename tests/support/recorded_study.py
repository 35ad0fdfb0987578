"""Recordings of drawn people, processed: a study from which clips can be drawn."""

from pathlib import Path

from coloured_people import BLUE, LEFT, RED, RIGHT, seated
from videos import encode

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings

SEATED_LEFT = (0.0, 0.0, 0.6, 1.0)
SEATED_ANYWHERE = (0.0, 0.0, 1.0, 1.0)


def make_recorded_study(folder: Path, networks: Networks) -> Path:
    """P1 with a carer (blue) beside, P2 alone, and P3 whose seat is not known: 12 s each; P1 twice."""
    folder.mkdir(exist_ok=True)
    # a face that never moves could be a picture on a wall
    left = [(LEFT[0] + place % 20, LEFT[1]) for place in range(120)]
    both = [seated((corner, RED), (RIGHT, BLUE)) for corner in left]
    alone = [seated((corner, RED)) for corner in left]
    shown = [
        (("P1", "S1"), both, SEATED_LEFT),
        (("P1", "S2"), both[:115], SEATED_LEFT),
        (("P2", "S1"), alone, SEATED_ANYWHERE),
        (("P3", "S1"), both[:110], None),
    ]
    sessions = [
        Session(
            *ids,
            encode(folder / f"{'_'.join(ids)}.mp4", pictures, rate=10, options={"crf": "5"}),
            patient_region=seat,
            condition="calm",
        )
        for ids, pictures, seat in shown
    ]
    (folder / "study").mkdir()
    process_sessions(sessions, folder / "study", Settings(), in_this_process(networks), "0" * 64)
    return folder / "study"
