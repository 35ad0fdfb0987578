"""review.apply_people: once a person confirmed the patient, no table holds anybody else's expression."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from coloured_people import BLUE, LEFT, RED, RIGHT, ByColour, seated
from numpy.typing import NDArray
from PIL import Image
from stored_values import stored_values
from videos import encode, first_pictures

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.records import EMOTIONS, Ids, Person
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people
from reports import write_reports

OF_RED = np.array([0.0, 0.0, 0.0, 0.8125, 0.0, 0.0625, 0.125], np.float32)
OF_BLUE = np.array([0.7001, 0.1003, 0.0507, 0.0211, 0.0809, 0.0102, 0.0367], np.float32)

# What is known of a face that is not the patient's: where it is, and how well it can be seen.
PLACES = {
    "patient_id",
    "session_id",
    "sample",
    "time_s",
    "frame",
    "x1",
    "y1",
    "x2",
    "y2",
    "landmarks",
    "role",
}
QUALITY = {"track", "detection", "face_px", "sharpness", "brightness", "yaw", "pitch", "roll", "covered"}


def judge_by_colour(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Red is happy and blue is angry."""
    mean = crops.mean(axis=(1, 2)).reshape(-1, 3)
    red = (mean[:, 0] > mean[:, 2])[:, None]
    return np.where(red, OF_RED, OF_BLUE).astype(np.float32), np.zeros(len(crops), np.float32)


def faces_of(out: Path, ids: Ids) -> pl.DataFrame:
    return pl.read_parquet(out / f"faces/patient_id={ids[0]}/{ids[1]}.parquet", hive_partitioning=False)


def expressions(faces: pl.DataFrame) -> set[float]:
    """Every probability and valence but 0 and 1, which say nothing of whom they are."""
    columns = [*(f"p_{name}" for name in EMOTIONS), "valence"]
    return {value for name in columns for value in faces[name].drop_nulls()} - {0.0, 1.0}


def confirm(out: Path, ids: Ids, tracks: set[int]) -> None:
    """These tracks are the patient, and all others the carer."""
    seen = faces_of(out, ids)["track"].unique().to_list()
    roles = {track: "patient" if track in tracks else "caregiver" for track in seen}
    apply_people(out, {ids: roles}, write_reports, embed=ByColour())


def strays(out: Path, others: set[float]) -> list[str]:
    """Columns with a number that is another person's expression."""
    return [where for where, values in stored_values(out) if values & others]


def test_no_column_of_any_table_holds_another_person_s_expression(
    tmp_path: Path, fake_networks: Networks
) -> None:
    out, networks = tmp_path / "out", replace(fake_networks, classify=judge_by_colour)
    out.mkdir()
    sessions = []
    for number, places in enumerate([(LEFT, RIGHT), (RIGHT, LEFT)], start=1):
        pictures = [seated((places[0], RED), (places[1], BLUE))] * 60
        video = encode(tmp_path / f"{number}.mp4", pictures, rate=10, options={"crf": "5"})
        sessions.append(Session("P1", f"S{number}", video))
    process_sessions(sessions, out, Settings(), in_this_process(networks), "0" * 64)
    write_reports(out)
    angry = {float(value) for value in OF_BLUE} | {float(OF_BLUE[3] - OF_BLUE[0])}
    assert [where for where in strays(out, angry) if where.startswith("faces/")], "the test can find them"
    people = find_people(out, ByColour())
    for session in sessions:
        own = {t for p in people if p.ids == session.ids and p.alike == of(people, RED) for t in p.tracks}
        confirm(out, session.ids, own)
    assert strays(out, angry) == []
    for where, values in stored_values(out):
        if where.endswith(": emotion"):
            assert values <= {"happy"}, where
    for session in sessions:
        faces = faces_of(out, session.ids)
        others = faces.filter(pl.col("role").cast(pl.String) != "patient")
        assert others.height == 30
        told = {name for name in others.columns if others[name].null_count() < others.height}
        assert told <= PLACES | QUALITY
    assert not list((out / ".unfinished").rglob("*")), "nor do interrupted runs"


def of(people: list[Person], colour: tuple[float, float, float]) -> str:
    """The letter of the people with this colour."""
    wanted = np.array(colour) / sum(colour)
    nearest = min(people, key=lambda person: float(np.abs(person.embeddings.mean(axis=0) - wanted).sum()))
    return nearest.alike


@pytest.mark.parametrize("patient", ["man", "woman"])
def test_nor_after_a_real_session_of_two(
    clips: Path, tmp_path: Path, networks: Networks, patient: str
) -> None:
    out, ids = tmp_path / "out", ("P1", "S1")
    out.mkdir()
    men, women = (
        [
            np.array(Image.fromarray(picture).resize((480, 270)))
            for picture in first_pictures(clips / name, 60)
        ]
        for name in ("single_face.mp4", "gesture_720p.mp4")
    )
    video = encode(tmp_path / "two.mp4", map(np.hstack, zip(men, women, strict=True)), rate=30)
    process_sessions([Session(*ids, video)], out, Settings(), in_this_process(networks), "0" * 64)
    write_reports(out)
    faces = faces_of(out, ids)
    left = (pl.col("x1") + pl.col("x2")) / 2 < 480
    own = left if patient == "man" else ~left
    others = expressions(faces.filter(~own)) - expressions(faces.filter(own))
    assert len(others) >= 50
    assert strays(out, others)
    confirm(out, ids, set(faces.filter(own)["track"]))
    assert strays(out, others) == []
    assert expressions(faces_of(out, ids)) == expressions(faces.filter(own)), "and the patient's is all there"
