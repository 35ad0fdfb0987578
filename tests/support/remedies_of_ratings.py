"""Carry out the advice of messages about the files of raters."""

import re
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet as pq
from fakes import FAKE_WEIGHTS, find_squares, judge_by_light
from rating_files import aligned, boris, eaf, medium, referring, tier
from recorded_study import make_recorded_study
from remedies import Ended, Kit, Steps, remedy, workbook

from pipeline.agreement.clip_sampling import DrawSettings
from pipeline.agreement.rated_clips import clips_path, read_clips
from pipeline.faces.detection import CropSpec
from pipeline.processing.session import Networks

# --- ratings


def agree(kit: Kit, path: Path, *options: object) -> Ended:
    """In steps that are shorter than what is coded here."""
    return kit.run("agree", kit.out, path, "--step", 0.1, *options)


def ratings(kit: Kit, *lines: str, name: str = "P1_S1_anna.csv", head: str = "start_s;end_s;code") -> Path:
    if not kit.out.exists():
        kit.study()
    return kit.table(name, head, *lines)


@remedy(
    "Unknown codes: {}{}. Say what they mean with --codes, such as "
    "'smile=happy,talk=speaking,hidden=?' (- is left out, ? could not be judged)."
)
def codes_that_nobody_explained(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;smile", "0.5;1;talk", "1;1.5;away")
    said = agree(kit, path)
    yield said
    yield agree(kit, path, "--codes", re.search(r"such as '(.+?)'", said.text)[1])


for text, bad, good in (
    (
        "--codes: {}: a code means one of {}, - (left out) or ? (could not be judged).",
        "smile=joy",
        "smile=happy,a=-,b=?",
    ),
    (
        "--codes: none= says what time without a code is taken for, such as none=neutral.",
        "smile=happy,none=-",
        "smile=happy,none=neutral",
    ),
    (
        "--codes {}: write CODE=LABEL, separated by commas, or give a .toml file.",
        "smile",
        "smile=happy,cry=sad",
    ),
):

    def wrong_codes(kit: Kit, bad: str = bad, good: str = good) -> Steps:
        path = ratings(kit, "0;0.5;smile")
        yield agree(kit, path, "--codes", bad)
        yield agree(kit, path, "--codes", good)
        table = kit.table("codes.toml", "[codes]", '"smile" = "happy"')
        yield agree(kit, path, "--codes", table)

    wrong_codes.__name__ = f"--codes {bad}"
    remedy(text)(wrong_codes)


@remedy(": not a map of codes; write {}")
def a_file_without_codes(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;smile")
    yield agree(kit, path, "--codes", kit.table("codes.toml", '"smile" = "happy"'))
    yield agree(kit, path, "--codes", kit.table("codes.toml", "[codes]", '"smile" = "happy"'))


@remedy(
    "{} never coded neutral, so time without a code counts as “{}”, which the machine "
    "never says of a face that it reads. If it means neutral, give --codes {}=neutral."
)
def a_rater_who_never_coded_neutral(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy")
    said = agree(kit, path)
    yield said
    yield agree(kit, path, *re.search(r"give (--codes \S+)\.", said.text)[1].split())


@remedy(
    "{}: nothing states what was rated of {}, so only the time from the first code "
    "to the last counts as rated. Give --rated 0-600, for example, or --rated all where every "
    "session was rated as a whole."
)
def a_rater_who_states_nothing(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy", "1;1.5;neutral")
    yield agree(kit, path)
    for span in ("0-600", "all"):
        yield agree(kit, path, "--rated", span)


@remedy("--step {}: from 0.1 to 60 seconds.")
def a_step_that_is_too_long(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy")
    yield agree(kit, path, "--step", 61)
    yield agree(kit, path, "--step", 0.1)


for text, bad, *good in (
    (
        "--rated {}: write FROM-TO, such as 0-600 or 0:30-10:00, or all.",
        "0",
        "0-600",
        "0:01-10:00",
        "all",
    ),
    ("--rated {}: ends before it starts; write FROM-TO, such as 0-600.", "9-1", "0-600"),
    ("--rated: {} to {} s lies outside {} {}.", "600-700", "0-600"),
):

    def wrong_span(kit: Kit, bad: str = bad, good: tuple[str, ...] = tuple(good)) -> Steps:
        path = ratings(kit, "0;0.5;happy", "1;1.5;neutral")
        yield agree(kit, path, "--rated", bad)
        for span in good:
            yield agree(kit, path, "--rated", span)

    wrong_span.__name__ = f"--rated {bad}"
    remedy(text)(wrong_span)


@remedy(
    ": has no columns patient_id and session_id, and its name is not that of a "
    "session of this folder, like P012_S01_rater.csv; add the columns, rename the file, or "
    "take it away."
)
def a_table_of_nobody_knows_which_session(kit: Kit) -> Steps:
    kit.study()
    folder = kit.folder / "ratings"
    kit.table("P2_S1_ben.csv", "start_s;end_s;code", "0;1;happy", folder=folder)
    path = kit.table("anna.csv", "start_s;end_s;code", "0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    kit.table("anna.csv", "patient_id;session_id;start_s;end_s;code", "P1;S1;0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    path.unlink()
    path = kit.table("P1_S1_anna.csv", "start_s;end_s;code", "0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    path.unlink()
    yield agree(kit, folder)


@remedy(
    "lies outside {}, which lasts from {}; times count from the start of the "
    "recording: correct the times, or take the code away."
)
def a_code_after_the_end(kit: Kit) -> Steps:
    yield agree(kit, ratings(kit, "0;0.5;happy", "90;95;sad"))
    yield agree(kit, ratings(kit, "0;0.5;happy", "1;1.5;sad"))
    yield agree(kit, ratings(kit, "0;0.5;happy"))


@remedy(": what was rated ({}) lies outside {}, which lasts from {}; correct it.")
def a_rated_stretch_after_the_end(kit: Kit) -> Steps:
    head = "start_s;end_s;code;rated_from_s;rated_to_s"
    yield agree(kit, ratings(kit, "0;0.5;happy;90;95", head=head))
    yield agree(kit, ratings(kit, "0;0.5;happy;0;1", head=head))


@remedy("mean the same column; keep one, or begin the other's name with x_.")
def two_columns_of_one_meaning(kit: Kit) -> Steps:
    yield agree(kit, ratings(kit, "0;0.5;happy;a", head="start_s;end_s;code;label"))
    yield agree(kit, ratings(kit, "0;0.5;happy", head="start_s;end_s;code"))
    yield agree(kit, ratings(kit, "0;0.5;happy", head="start_s;end_s;label"))
    yield agree(kit, ratings(kit, "0;0.5;happy;a", head="start_s;end_s;code;x_label"))


@remedy(": may belong to session {}; rename it after patient and session.")
def a_name_of_two_sessions(kit: Kit) -> Steps:
    lines = "A;B-C;a.mp4;yes", "A-B;C;b.mp4;yes"
    kit.video("a.mp4"), kit.video("b.mp4")
    assert kit.process(kit.sessions(*lines)).code == 0
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A-B-C.csv"))
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A_B-C.csv"))
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A-B_C.csv"))


def project(kit: Kit, name: str, *files: str, observation: str = "one") -> Path:
    """Of BORIS, with one observation in which somebody is happy."""
    import json

    events = [[0.0, "", "happy", "", ""], [0.5, "", "happy", "", ""]]
    one = {"file": {"1": list(files)}, "type": "MEDIA", "time offset": 0, "events": events}
    behaviors = {"0": {"type": "State event", "code": "happy"}}
    text = json.dumps({"behaviors_conf": behaviors, "observations": {observation: one}})
    return kit.table(name, text)


@remedy(
    ": which session of this folder is it about? Name it after patient and "
    "session, like P012_S01_rater, link the video that was processed, or take it away."
)
def an_observation_of_nobody_knows_which_session(kit: Kit) -> Steps:
    kit.study()
    yield agree(kit, project(kit, "anna.boris", "C:/v/room.mp4"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/room.mp4", observation="P1_S1_anna"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P1_S1.mp4"))


@remedy(": is named after {}, but its video is that of {}; rename it, or link the session's own video.")
def an_observation_of_two_sessions(kit: Kit) -> Steps:
    kit.study()
    yield agree(kit, project(kit, "anna.boris", "C:/v/P2_S1.mp4", observation="P1_S1"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P2_S1.mp4", observation="P2_S1"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P1_S1.mp4", observation="P1_S1"))


@remedy(": is named after {} {}, but its rows are of {}; rename it, or correct the rows.")
def a_table_of_two_sessions(kit: Kit) -> Steps:
    head = "patient_id;session_id;start_s;end_s;code"
    path = ratings(kit, "P2;S1;0;0.5;happy", name="P1_S1.csv", head=head)
    yield agree(kit, path)
    yield agree(kit, path.rename(path.with_name("P2_S1.csv")))
    yield agree(kit, ratings(kit, "P1;S1;0;0.5;happy", name="P1_S1.csv", head=head))


@remedy(": has no row below its header; take it away, or fill it in.")
def a_table_without_a_row(kit: Kit) -> Steps:
    kit.study()
    folder, head = kit.folder / "ratings", "patient_id;session_id;start_s;end_s;code"
    kit.table("P2_S1_ben.csv", "start_s;end_s;code", "0;1;happy", folder=folder)
    path = kit.table("anna.csv", head, folder=folder)
    yield agree(kit, folder)
    kit.table("anna.csv", head, "P1;S1;0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    path.unlink()
    yield agree(kit, folder)


# Files that ELAN and BORIS write: what is wrong in them is put right there, and saved.


def rated(message: str, *write: Callable[[Path], Path], name: str = "P1_S1.eaf") -> None:
    """Enters a case: a file that is refused, and files as somebody saves them after doing as advised."""

    def case(kit: Kit) -> Steps:
        kit.study()
        for one in write:
            yield agree(kit, one(kit.folder / name))

    case.__name__ = f"{name} {message}"
    remedy(message)(case)


def slots(*times_ms: object) -> str:
    named = enumerate(times_ms, start=1)
    values = (("" if ms is None else f' TIME_VALUE="{ms}"', number) for number, ms in named)
    return "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{number}"{value}/>' for value, number in values)


HALF = slots(0, 500, 1500)
TWO = tier("emotion", aligned("a1", "ts1", "ts2", "happy"), aligned("a2", "ts2", "ts3", "sad"))
PARTS = tier("parts", referring("b1", "a1", "happy"), kind="assoc", parent="emotion")
LOST = tier("parts", referring("b1", "a9", "happy"), kind="assoc", parent="emotion")
CHAIN = tier("parts", referring("b1", "a1", "sad", "b9"), kind="parts", parent="emotion")


def elan(tiers: str = TWO, times: str = HALF, **others: str) -> Callable[[Path], Path]:
    return lambda path: eaf(path, tiers, times, **others)


def cut(whole: Callable[[Path], Path], length: int) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(whole(path).read_bytes()[:length])
        return path

    return write


def coded(**observation: object) -> Callable[[Path], Path]:
    own = {"events": [[0.0, "", "happy", "", ""], [0.5, "", "happy", "", ""]], "file": {"1": ["P1_S1.mp4"]}}

    def write(path: Path) -> Path:
        text = boris(path, **{**own, **observation}).read_text("utf-8")
        path.write_text(text.replace("P012_S02", "P1_S1"), encoding="utf-8")
        return path

    return write


def in_utf_16(whole: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(whole(path).read_text("utf-8").encode("utf-16"))
        return path

    return write


rated(
    ": can't be read as an ELAN file; save it in ELAN again.",
    elan(times=slots("x", 1, 2)),
    elan(),
)


rated("save it in ELAN again", in_utf_16(elan()), elan())


rated(": damaged ({}); save it in ELAN again.", cut(elan(), 500), elan())


rated(": two elements have the {} {}; save it in ELAN again.", elan(TWO + TWO), elan())


HAPPY = aligned("a1", "ts1", "ts2", "")
DENIED = aligned("a2", "ts2", "ts3", "no")

rated(
    ": tier {} has an annotation with the value {} at {} s{}; in ELAN, empty the value if {} is meant, or "
    "delete the annotation.",
    elan(tier("happy", HAPPY, DENIED)),
    elan(tier("happy", HAPPY, aligned("a2", "ts2", "ts3", ""))),
    elan(tier("happy", HAPPY)),
)


rated(
    ": its times are in {}, not in {}; save it in ELAN again.",
    elan(units="NTSC-frames"),
    elan(),
)


rated(
    ": an annotation depends on {}, which is missing; save it in ELAN again.",
    elan(TWO + LOST),
    elan(TWO + PARTS),
)


rated(
    ": annotations of tier {} follow a missing annotation; save it in ELAN again.",
    elan(TWO + CHAIN),
    elan(TWO + PARTS),
)


rated(
    ": times in the file are out of order; save it in ELAN again.",
    elan(times=slots(1500, None, 0)),
    elan(),
)


ROOMS = medium("room.mp4") + medium("hall.mp4", origin_ms=500)


rated(
    ": its media ({}) begin at different times, or when they begin is not known; link only the video of {}.",
    elan(media=medium("P1_S1.mp4") + medium("P1_S1.mp4", origin_ms=900)),
    elan(media=medium("P1_S1.mp4")),
)


def of_people(*people: str) -> str:
    spans = (("ts1", "ts2"), ("ts2", "ts3"))
    return "".join(
        tier(f"t{number}", aligned(f"a{number}", *span, "happy"), person=person)
        for number, (person, span) in enumerate(zip(people, spans, strict=True))
    )


rated(
    ": codes several people ({}); name the patient's {} {}.",
    elan(of_people("Mr B", "carer")),
    elan(of_people("P1", "carer")),
)


rated(
    ": codes only {}, not the patient; take it away, or, if the codes are the patient's, name the {} {}.",
    elan(tier("emotion", aligned("a1", "ts1", "ts2", "happy"), person="nurse")),
    elan(tier("emotion", aligned("a1", "ts1", "ts2", "happy"), person="P1")),
)


BORIS = "P1_S1.boris"


rated(
    ": can't be read as a BORIS project; save it in BORIS again.",
    cut(coded(), 50),
    coded(),
    name=BORIS,
)


rated("save it in BORIS again", in_utf_16(coded()), coded(), name=BORIS)


rated(
    "was coded live, not with the video's clock; code the video, or take it away",
    coded(type="LIVE"),
    coded(),
    name=BORIS,
)


rated(
    ": {} is no time ({}); correct it in BORIS.",
    coded(**{"time offset": "soon"}),
    coded(),
    name=BORIS,
)


rated(
    ": its times count from the dates at which several or unknown files were "
    "made; in BORIS, take back the media creation date as offset.",
    coded(media_creation_date_as_offset=True),
    coded(),
    name=BORIS,
)


@remedy("its observation has several files; give BORIS's project (.boris).")
def an_export_without_the_lengths_of_files(kit: Kit) -> Steps:
    kit.study()
    rows = "P1_S1,happy,0,0.5,room.mp4\nP1_S1,sad,1,1.5,P1_S1.mp4\n"
    table = kit.folder / "export.csv"
    table.write_text(f"Observation id,Behavior,Start (s),Stop (s),Media file name\n{rows}")
    yield agree(kit, table)
    yield agree(kit, coded()(kit.folder / BORIS))


@remedy(": {} {} at {} s; correct it in BORIS.", "begins again before its end")
def a_state_that_begins_twice(kit: Kit) -> Steps:
    from pipeline.exchange.boris import StateEvent, paired

    def events(*times: tuple[float, str]) -> list[StateEvent]:
        return [StateEvent(time_s, "", "happy", "", status) for time_s, status in times]

    yield kit.call(paired, events((0, "START"), (1, "START"), (2, "STOP")), "P1_S1.csv")
    yield kit.call(paired, events((0, "START"), (2, "STOP")), "P1_S1.csv")


@remedy(": can't be read as an Excel workbook; save it again in Excel.")
def a_damaged_workbook(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "sessions.xlsx"
    with ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook>")
    yield kit.run("study", "check", path)
    yield kit.run("study", "check", workbook(path))


# --- clips


def drawn_study(kit: Kit) -> Path:
    """A study with three drawn clips, all answered."""
    networks = Networks(find_squares, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")
    out = make_recorded_study(kit.folder / "recordings", networks).rename(kit.out)
    kit.run("rate", out)
    lines = [f"{clip.draw};{clip.clip};rater;happy" for clip in read_clips(out)]
    kit.table("rating_rater.csv", "draw;clip;rater;code", *lines, folder=out / "ratings")
    return out


@remedy(": no clips were drawn in this folder; run `emonext rate {}` first.")
def clips_whose_table_was_lost(kit: Kit) -> Steps:
    out = drawn_study(kit)
    clips_path(out).unlink()
    said = kit.run("agree", out)
    yield said
    kit.named(said)  # draws the same clips
    yield kit.run("agree", out)


@remedy("move its folder away, and draw other clips with `emonext rate`.")
def damaged_clips(kit: Kit) -> Steps:
    out = drawn_study(kit)
    clips_path(out).write_bytes(clips_path(out).read_bytes()[:100])
    yield kit.run("agree", out)
    clips_path(out).parent.rename(kit.folder / "away")
    assert kit.run("rate", out).code == 0
    yield kit.run("agree", out)


@remedy(": of another version; move the folder away and run `emonext rate {}`.")
def clips_of_another_version(kit: Kit) -> Steps:
    out = drawn_study(kit)
    pq.write_table(pq.read_table(clips_path(out)).drop_columns("weight"), clips_path(out))
    said = kit.run("agree", out)
    yield said
    clips_path(out).parent.rename(kit.folder / "away")
    kit.named(said)
    yield kit.run("agree", out)


@remedy(
    ": row {}: {} is no answer of a rater's page; save the page again, and do not change the table.",
    ": row {}: {} is not a clip number; save the page again.",
)
def a_changed_table_of_answers(kit: Kit) -> Steps:
    out = drawn_study(kit)
    table = out / "ratings" / "rating_rater.csv"
    saved = table.read_text()
    table.write_text(saved.replace("happy", "joy", 1))
    yield kit.run("agree", out)
    table.write_text(saved)
    yield kit.run("agree", out)


@remedy("differently, and the column saved_at does not tell when; keep only the newest table.")
def two_tables_without_times(kit: Kit) -> Steps:
    out = drawn_study(kit)
    table = out / "ratings" / "rating_rater.csv"
    older = table.with_name("older.csv")
    older.write_text(table.read_text().replace("happy", "sad"))
    yield kit.run("agree", out)
    older.unlink()
    yield kit.run("agree", out)


@remedy("; the rows were mixed up: save the page again.")
def a_table_with_a_sorted_column(kit: Kit) -> Steps:
    out = drawn_study(kit)
    table = out / "ratings" / "rating_rater.csv"
    saved = table.read_text()
    first, *_, last = sorted(read_clips(out), key=lambda clip: clip.ids)
    row = f"{first.draw};{first.clip};rater;happy;{last.patient_id};{last.session_id}"
    table.write_text(f"draw;clip;rater;code;patient_id;session_id\n{row}\n")
    yield kit.run("agree", out)
    table.write_text(saved)
    yield kit.run("agree", out)


@remedy(": no clip can be shown; put the recordings back where they were.")
def clips_whose_recordings_were_moved(kit: Kit) -> Steps:
    out = drawn_study(kit)
    recordings = kit.folder / "recordings"
    recordings.rename(kit.folder / "elsewhere")
    yield kit.run("rate", out)
    (kit.folder / "elsewhere").rename(recordings)
    yield kit.run("rate", out)


@remedy(": not there; put the tables of raters in, or name their files.")
def no_tables_of_raters(kit: Kit) -> Steps:
    out = drawn_study(kit)
    (out / "ratings").rename(kit.folder / "saved")
    yield kit.run("agree", out)
    yield kit.run("agree", out, kit.folder / "saved")
    (kit.folder / "saved").rename(out / "ratings")
    yield kit.run("agree", out)


def draw(message: str, bad: dict[str, object], *good: dict[str, object]) -> None:
    """Enters a case: settings of a draw that are refused, and settings as advised."""

    def case(kit: Kit) -> Steps:
        for values in (bad, *good):
            yield kit.call(lambda values=values: DrawSettings(**values))

    case.__name__ = f"draw {bad}"
    remedy(message)(case)


draw("--clips {}: give 1 to 2000.", {"clips": 0}, {"clips": 1}, {"clips": 2000})


draw("--seconds {}: give 1 to 20.", {"seconds": 0.5}, {"seconds": 1.0}, {"seconds": 20.0})


draw(
    "--overlap {}: give 0 to the number of clips, {}.",
    {"clips": 9, "overlap": 10},
    {"clips": 9, "overlap": 0},
    {"clips": 9, "overlap": 9},
)


draw(
    "--rater {}: reserved for the machine; choose another pseudonym.",
    {"raters": ("machine",)},
    {"raters": ("anna",)},
)


draw("--rater {}: give each rater once.", {"raters": ("anna", "Anna")}, {"raters": ("anna", "ben")})


@remedy("--new, for a further draw")
def a_further_draw(kit: Kit) -> Steps:
    out = drawn_study(kit)
    yield kit.run("rate", out, "--clips", 2)
    yield kit.run("rate", out, "--clips", 2, "--new")
    yield kit.run("rate", out)
