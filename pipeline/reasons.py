"""Reasons of a session's state, and findings about a recording: a code and its values.

:data:`TEXTS` holds the English sentences.

``reports/words/reasons.py`` makes the sentences of other languages.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Union

Value = Union[str, int, float, "Reason"]

RESULT_TEXTS = {
    # why conditions are not compared
    "few_patients_or_sessions": "too few patients or sessions",
    "few_sessions": "too few sessions",
    "few_with_both": "%(patients)s of the %(wanted)s patients it takes have %(sessions)s sessions of both "
    "conditions in which enough was seen",
    "few_of_one": "fewer than %(sessions)s sessions of one of the conditions in which enough was seen",
    "few_weighted": "too few sessions have weighted shares",
    "no_other_condition": "no session with another condition than %(reference)s",
    "no_condition": "no session with the condition %(condition)s",
    "no_measure": "no session has the measure %(measure)s",
    "other_reference": "conditions were compared with %(used)s, not with %(reference)s",
    # why there is no change per week
    "few_with_dates": "%(patients)s of the %(wanted)s patients it takes have %(sessions)s dated sessions, "
    "over a week or longer, in which enough was seen",
    "few_dates": "fewer than %(sessions)s dated sessions, over a week or longer, in which enough was seen",
    # why patients are not compared by what is known of them
    "no_value": "%(column)s of the compared patients: no value",
    "one_value": "%(column)s of the compared patients: one value only",
    "all_different": "%(column)s of the compared patients: as many categories as patients",
    "small_group": "%(column)s %(group)s: %(patients)s of the %(wanted)s patients a group takes",
    "few_for_parameters": "%(patients)s of the %(wanted)s patients that %(parameters)s parameters take",
    # why a model gives no number
    "not_converged": "the model did not converge",
    "not_apart": "the sessions do not tell the effects apart",
    "no_variation": "no variation between sessions",
    "not_otherwise": "nothing that could have been otherwise within a patient",
    # why shares are not adjusted for misreading
    "few_rated_of": "too few rated clips of %(groups)s",
    "misread": "the machine tells the groups apart too badly (condition number %(condition_number)s)",
    "few_rated": "%(clips)s rated clips of %(patients)s patients, of %(wanted)s of %(wanted_patients)s that "
    "it takes",
    "few_surprised": "%(clips)s rated clips of %(patients)s patients, of %(wanted)s of %(wanted_patients)s "
    "that it takes; other adjusted shares are of the time without it",
    # why there is no agreement, or no interval of it
    "one_class": "undefined: all of it is one class",
    "only_one": "undefined: one of them always says the same",
    "nothing_compared": "nothing to compare",
    "same_everywhere": "the same in every session",
    "fewer_rated": "fewer than %(sessions)s sessions",
    "unsure": "too little to say how sure",
}
"""Code → English sentence of a missing result. Tables store the sentence: :func:`from_sentence` reads it."""

TEXTS = {
    # who the patient is
    "no_face": "no face was found",
    "several_people": "%(count)s people may be seen; a rule chose one",
    "still_face": "a face never moves; it may be a picture on a wall",
    "no_clear_face": "no face in the video is clear enough to be compared",
    "nobody_near": "person %(person)s is %(far)s from the reference faces, and nobody nearer; "
    "one person is %(most)s at most",
    "between_limits": "person %(person)s is %(far)s from the reference faces; "
    "one person is %(most)s at most, two are %(least)s at least",
    "too_alike": "person %(person)s is %(far)s from the reference faces, and person %(next)s %(further)s: "
    "too alike to choose",
    "nearest": "person %(person)s is %(far)s from the reference faces; the next, person %(next)s, "
    "%(further)s; one person is %(most)s at most",
    "nearest_alone": "person %(person)s is %(far)s from the reference faces; nobody else is seen; "
    "one person is %(most)s at most",
    "unlike_sessions": "the face is unlike the patient's in %(sessions)s: one of them may be somebody else",
    "reference_gone": "the session by which the patient was recognised does not count any more",
    "empty_region": "nobody is seen in the region",
    "too_many_in_region": "person %(person)s is in the region in %(times)s of %(all)s samples, "
    "and person %(next)s in %(rest)s: too many to choose",
    "mostly_elsewhere": "person %(person)s is in the region in %(times)s of %(all)s samples: "
    "mostly elsewhere",
    "in_region": "person %(person)s is in the region in %(times)s of %(all)s samples, "
    "anybody else in %(rest)s at most",
    "roles_set": "a person set the roles; a face was found at %(found)s of %(wanted)s places",
    "roles_without_patient": "the person who checked the roles found no patient",
    "roles_incomplete": "the person who checked the roles named no patient, and did not name everybody",
    "nobody_before": "the person who checked the session found nobody; now there is a face",
    "expression_not_stored": "the expression of this person was not stored; process the session again",
    # notes on the people of a session
    "mixed_person": "shows more than one person: give the session a photo of the patient",
    "looks_like": "looks like the patient of %(sessions)s: please check",
    "other_looks_like": "does not look, but person %(others)s does, like the patient of %(sessions)s: "
    "please check",
    "video_unknown": "its video is not known",
    "video_moved": "its video is not where it was",
    # warnings of a session
    "no_face_in_video": "no face was found in this video",
    "not_recognised": "the patient was not recognised: %(reason)s",
    "not_certain": "it is not certain that this is the patient: %(reason)s",
    "never_readable": "the patient's face was found, but never well enough to be read",
    "hardly_readable": "the patient's face could be read in only %(percent)s%% of the session",
    "undecoded": "%(seconds)s s of the video could not be decoded",
    # faults of a recording
    "in_file": "file %(number)s: %(reason)s",
    "takes": "%(count)s recordings were joined in one file; their clocks were put one after the other",
    "decoded_order": "the times in the file contradict the order of its %(count)s frames and were put in "
    "that order",
    "lost": "%(count)s frames of the file could not be decoded",
    "edit_gap": "the file's edit list leaves a gap inside the recording, which can't be followed: times and "
    "length may be wrong",
    "edit_rate": "the file's edit list plays a part at another speed, which can't be followed: times and "
    "length may be wrong",
    "unread": "about %(seconds)s s at the end of the file can't be read; a recording that was joined to "
    "another needs a file of its own",
    "late": "the picture begins %(seconds)s s after the sound",
    "holes": "no picture for %(seconds)s s between the first and the last",
    "early_end": "the picture ends %(seconds)s s before the sound",
    # a session that can't be processed
    "nothing_left": "nothing is left of its %(seconds)s s after start_s, end_s and exclude.",
    "no_sample": "no sample lies in its %(part)s s after start_s, end_s and exclude, "
    "with %(rate)s samples per second.",
    "no_such_track": "`patient_track` %(track)s: this video has %(count)s tracks, and none of that number.",
    "photo": "the photo: %(reason)s",
    "no_photo": "can't be read as a picture; save it again as JPEG or PNG.",
    "faces_in_photo": "shows %(count)s faces; give a photo with the patient's face alone.",
    "not_written": "%(path)s: can't be written (%(error)s).",
    # a video that can't be processed
    "not_found": "not found.",
    "a_folder": "is a folder; give one video.",
    "empty_file": "the file is empty.",
    "no_video_file": "can't be read as a video (%(error)s); it may be cut off or of another kind.",
    "unreadable": "can't be read (%(error)s).",
    "unreadable_now": "can't be read any more (%(error)s).",
    "changed_meanwhile": "was changed while it was read; the next run reads it again.",
    "no_picture_stream": "holds no video, only %(streams)s.",
    "both": "%(one)s and %(other)s",
    "sound_stream": "audio",
    "cover_stream": "a cover picture",
    "subtitle_stream": "subtitle",
    "data_stream": "data",
    "attachment_stream": "attachment",
    "no_known_stream": "nothing that is known",
    "no_picture_header": "its header does not describe the picture; it may be cut off.",
    "impossible_size": "its header says %(width)s × %(height)s px, which no camera records; "
    "it may be damaged.",
    "impossible_frames": "its header names %(count)s frames, more than it can hold; it is damaged.",
    "no_shown_frame": "holds no frame that can be shown.",
    "no_decoded_frame": "no frame can be decoded.",
    "other_size": "%(width)s × %(height)s px, but the session's first file has "
    "%(first_width)s × %(first_height)s; give it as a session of its own.",
    "none_decoded": "none of %(count)s pictures can be decoded; record it again.",
    # what preflight measures in a recording
    "seen": "in view in %(in_view)s%%, readable in %(readable)s%%",
    "seen_except": "in view in %(in_view)s%%, readable in %(readable)s%%; not from %(start)s to %(end)s",
    "face_size": "%(face)s px in %(width)s × %(height)s",
    "face_light": "face at %(light)s%% of white",
    "face_burnt": "face at %(light)s%% of white, %(burnt)s%% burnt out",
    "backlight": "picture %(ratio)s times as bright as the face",
    "sharpness": "%(sharpness)s; the higher, the sharper",
    "turned": "face turned %(degrees)s° away",
    "points_up": "face points %(degrees)s° up",
    "points_down": "face points %(degrees)s° down",
    "askew": "head askew by %(degrees)s°",
    "often_two": "two or more faces in %(share)s%%, at most %(people)s",
    "sometimes_two": "two or more faces in %(share)s%%",
    "never_two": "never two faces at once",
    "picture_size": "%(width)s × %(height)s",
    "constant_rate": "%(rate)s, constant",
    "variable_rate": "%(rate)s, variable, which does no harm",
    "no_sound": "none in the file",
    "sound_clock": "its clock restarts, so it can't be matched with the picture",
    "silent": "silent throughout",
    "silent_in": "silent in %(share)s%%",
    "silent_from": "silent in %(share)s%%, from %(start)s to %(end)s",
    "sound_cut": "cut off in %(share)s%%, because it is too loud",
    "loudest": "−%(level)s dB where it is loudest",
    "whole": "%(duration)s, nothing missing",
    "time_missing": "%(duration)s, %(seconds)s s missing",
    "damaged": "%(duration)s, %(broken)s of %(count)s pictures damaged",
    "missing_and_damaged": "%(duration)s, %(seconds)s s missing and %(broken)s of %(count)s pictures damaged",
    # what to change
    "make_readable": "Make the face readable: where it is in view it is mostly %(fault)s.",
    "aim": "Aim the camera at the patient's chair, and film while the patient sits there.",
    "nearly_black": "Switch on the light and uncover the lens: the picture is nearly black.",
    "nobody_visible": "Point the camera at the patient's face from the front, with the picture upright: "
    "no face is visible at %(pixels)s px or more.",
    "nearer": "Move the camera to %(tens)s %% of its distance or zoom in: "
    "faces are %(face)s px, %(pixels)s px or more are needed.",
    "nearer_or_larger": "Move the camera to %(tens)s %% of its distance or zoom in, or choose "
    "%(width)s × %(height)s: faces are %(face)s px, %(pixels)s px or more are needed.",
    "dim": "Dim the lamp or draw the curtain: the face is too bright to show its lines.",
    "more_light": "Put more light on the face, from the front: %(light)s%% or more are needed.",
    "window": "Turn chair or camera until the window is behind the camera, or draw the curtain.",
    "sharpen": "Clean the lens, focus on the face, and give more light: %(sharpness)s or more is sharp.",
    "to_the_right": "Move the camera to its right, to where the patient looks; "
    "%(degrees)s° or less are needed.",
    "to_the_left": "Move the camera to its left, to where the patient looks; "
    "%(degrees)s° or less are needed.",
    "both_sides": "Put the camera where the patient looks most: the head turns to both sides; "
    "%(degrees)s° or less are needed.",
    "raise": "Raise the camera to the height of the eyes; %(degrees)s° or less are needed.",
    "lower": "Lower the camera to the height of the eyes; %(degrees)s° or less are needed.",
    "set_level": "Set the camera level with the patient's eyes; %(degrees)s° or less is best.",
    "film_alone": "Film the patient alone, or give a photo of the patient (patient_face) in sessions.csv, "
    "to tell who is who.",
    "film_alone_or_seat": "Film the patient alone, or give where the patient sits (patient_region) or a "
    "photo of the patient (patient_face) in sessions.csv, to tell who is who.",
    "larger_picture": "Choose 1280 × 720 or more on the camera.",
    "higher_rate": "Record 15 pictures per second or more: %(rate)s are used.",
    "record_sound": "Switch on the microphone: without sound, it is not known when somebody speaks, and a "
    "face that speaks may be read as an emotion.",
    "joined_sound": "Give each recording a file of its own: without its sound, it is not known when somebody "
    "speaks, and a face that speaks may be read as an emotion.",
    "unmute": "Leave the microphone on: where it is silent, it is not known when somebody speaks, and a "
    "face that speaks may be read as an emotion.",
    "softer": "Lower the microphone's level: in sound that is cut off, voices are missed.",
    "louder": "If somebody spoke in this recording, bring the microphone nearer: below −%(level)s dB, voices "
    "are missed.",
    "let_finish": "Let the recorder finish before it is switched off, try another card, and copy the file "
    "again.",
    # how a session's process ended
    "stalled": "no progress for %(seconds)s s; it was ended",
    "killed": "its process was killed, perhaps because memory ran out; try again with fewer `jobs`",
    "crashed": "its process crashed (%(signal)s); the video may be damaged",
    "exited": "its process ended unexpectedly (exit code %(exitcode)s)",
    "machine_lost": "its machine %(machine)s was lost",
    "machine_silent": "its machine %(machine)s did not answer any more",
    "tried": "tried %(times)s times",
    "unexpected": "unexpected %(error)s: %(reason)s; the log has the details",
    "up_to_date": "is up to date; --overwrite processes it again",
    "status_lost": "the status was lost; the next run checks this session",
    "no_consent": "there is no consent: nothing is processed",
    "withdrawn": "consent was withdrawn: earlier results are set aside until they are purged",
    # a message of the operating system, of FFmpeg, or of an error
    "text": "%(text)s",
    **RESULT_TEXTS,
}
"""Code → English sentence."""

SINGULAR = {
    "lost": "1 frame of the file could not be decoded",
    "no_such_track": "`patient_track` %(track)s: this video has 1 track, and none of that number.",
    "none_decoded": "none of 1 picture can be decoded; record it again.",
    "damaged": "%(duration)s, %(broken)s of 1 picture damaged",
    "missing_and_damaged": "%(duration)s, %(seconds)s s missing and %(broken)s of 1 picture damaged",
}
"""Code → English sentence if the value ``count`` is 1."""

DECIMALS = {
    "seconds": 1,
    "ratio": 1,
    "part": 2,
    "percent": 1,
    "far": 2,
    "further": 2,
    "most": 2,
    "least": 2,
    "rate": None,
}
"""Name of a value that is no whole number → its decimals; ``None``: as many as it needs, at most two."""


@dataclass(frozen=True)
class Reason:
    """Why a session has its state, or what was found; ``str`` gives the English sentence.

    :param code: a key of :data:`TEXTS`.
    :param values: what the sentence names.
    :raises KeyError: the code is unknown, or a value is missing.
    """

    code: str
    values: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        str(self)

    @classmethod
    def of(cls, code: str, **values: Value) -> "Reason":
        return cls(code, values)

    @property
    def text(self) -> str:
        """The English sentence with gaps."""
        one = SINGULAR.get(self.code) if self.values.get("count") == 1 else None
        return TEXTS[self.code] if one is None else one

    def __str__(self) -> str:
        return self.text % {name: _shown(name, value) for name, value in self.values.items()}

    def write(self) -> dict[str, Any]:
        """As JSON: the code and the values."""
        values = {name: v.write() if isinstance(v, Reason) else v for name, v in self.values.items()}
        return {"code": self.code, **values}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Reason":
        """The inverse of :meth:`write`.

        :raises KeyError, TypeError, AttributeError: the JSON is not of this program.
        """
        return cls(stored["code"], {name: _read(value) for name, value in stored.items() if name != "code"})


def free_text(text: object) -> Reason:
    """A message that this program did not write."""
    return Reason.of("text", text=str(text))


def from_sentence(text: str) -> Reason:
    """The reason of a missing result whose sentence a table stores; :func:`free_text` if it is none."""
    for code, pattern in _patterns().items():
        if found := pattern.fullmatch(text):
            return Reason(code, found.groupdict())
    return free_text(text)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Those with most words of their own come first: the others may fit too."""
    parts = {code: re.split(r"%\((\w+)\)s", text) for code, text in RESULT_TEXTS.items()}
    longest = sorted(parts, key=lambda code: -sum(map(len, parts[code][::2])))
    return {code: re.compile("".join(map(_gap, enumerate(parts[code])))) for code in longest}


def _gap(part: tuple[int, str]) -> str:
    place, text = part
    return f"(?P<{text}>.+)" if place % 2 else re.escape(text)


def write_reason(reason: Reason | None) -> dict[str, Any] | None:
    return None if reason is None else reason.write()


def read_reason(stored: Any) -> Reason | None:
    """The inverse of :func:`write_reason`; errors as :meth:`Reason.read`."""
    return None if stored is None else Reason.read(stored)


def read_reasons(stored: Iterable[Any]) -> tuple[Reason, ...]:
    """Errors as :meth:`Reason.read`."""
    return tuple(map(Reason.read, stored))


def sentence(reasons: Iterable[Reason]) -> str:
    """Several reasons in English; empty without a reason."""
    return "; ".join(map(str, reasons))


def _shown(name: str, value: Value) -> str:
    if not isinstance(value, float):
        return str(value)
    decimals = DECIMALS[name]
    return f"{value:g}" if decimals is None else f"{value:.{decimals}f}"


def _read(value: Any) -> Value:
    if isinstance(value, Mapping):
        return Reason.read(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no value of a reason")
    return value
