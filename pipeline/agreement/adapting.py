"""Estimate a study's own calibration from its raters' answers to drawn clips, and test the estimate.

The model and its test are in :mod:`pipeline.stats.recalibration`. The test leaves out one patient at a time;
with fewer than :data:`MIN_PATIENTS`, one session at a time, which tells less. An adaptation is only accepted
if the test says that it helps. With more clips, an accepted one is refined by offsets of single patients
(:mod:`pipeline.stats.own_offsets`), if these help on sessions that were left out.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from shlex import quote

import numpy as np

from pipeline.agreement.clip_sampling import shows_same
from pipeline.agreement.rated_clips import Clip, RatedClip, is_clip_table, read_clips, read_rated_clips
from pipeline.analysis.adaptation import Adaptation, OwnOffsets, PatientOffsets
from pipeline.analysis.baseline_correction import SMALLEST
from pipeline.analysis.episodes import Observed, observed
from pipeline.errors import InputError
from pipeline.exchange.code_map import UNRATEABLE
from pipeline.records import EMOTIONS, Ids
from pipeline.stats.own_offsets import (
    MIN_OWN_CLIPS,
    MIN_OWN_PATIENTS,
    MIN_OWN_SESSIONS,
    PRIOR_OWN,
    own_offsets,
    patients_with_enough,
    session_test,
)
from pipeline.stats.recalibration import (
    PRIOR_LOG_T,
    PRIOR_OFFSET,
    Floats,
    HeldOutTest,
    Places,
    RatedSamples,
    Shift,
    helpful_shift,
)
from pipeline.store.counts import number_of
from pipeline.store.folders import check_exists
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline, written_sessions

MIN_PATIENTS = 5
"""Minimum to leave out patients; the minimum of sessions, if these are left out."""

MIN_CLIPS = 30
"""Minimum of clips with a usable answer."""

PATIENTS, SESSIONS = "patients", "sessions"


@dataclass(frozen=True, eq=False)
class ClipSamples:
    """A rated clip, and what the machine reads in it.

    :param answers: number of raters' answers, by expression; :data:`UNRATEABLE` is left out.
    :param logs: (m, 7) logarithms of the raw probabilities, m ≥ 1; ``seconds``: (m,) within the clip.
    """

    clip: Clip
    answers: Mapping[str, int]
    raters: frozenset[str]
    logs: Floats
    seconds: Floats

    @property
    def votes(self) -> Floats:
        """(7,) shares of the answers."""
        counts = np.array([self.answers.get(name, 0) for name in EMOTIONS], np.float64)
        votes: Floats = counts / counts.sum()
        return votes


@dataclass(frozen=True, eq=False)
class RatedStudy:
    """The rated clips with usable answers, all read with the same weights.

    :param notes: what was left out.
    """

    clips: tuple[ClipSamples, ...]
    weights_sha256: str
    notes: tuple[str, ...]

    @property
    def sessions(self) -> set[Ids]:
        return {one.clip.ids for one in self.clips}

    @property
    def patients(self) -> set[str]:
        return {patient for patient, _ in self.sessions}

    @property
    def raters(self) -> set[str]:
        return {rater for one in self.clips for rater in one.raters}


def clip_tables(out: Path, ratings: Sequence[Path]) -> list[Path]:
    """The tables of raters' pages among files and folders; by default, of ``ratings/``.

    :raises InputError: there are none, or a given file does not exist.
    """
    found: list[Path] = []
    for path in ratings or [out / "ratings"]:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*.csv") if is_clip_table(file))
            continue
        if ratings:
            check_exists(path)
        if path.exists() and is_clip_table(path):
            found.append(path)
    if not found:
        where = ", ".join(map(str, ratings or [out / "ratings"]))
        raise InputError(
            f"{where}: no table of rated clips; draw clips with `emonext rate {quote(str(out))}`, and save "
            "the raters' tables there."
        )
    return list({path.resolve(): path for path in found}.values())


def read_rated_study(out: Path, tables: Sequence[Path]) -> RatedStudy:
    """Read the answers, and the machine's samples of their clips.

    :raises InputError: no clips were drawn, a table can't be read, or no clip has a usable answer.
    :raises TimelineError: a timeline can't be read.
    """
    rated, notes = read_rated_clips(tables, {clip.key: clip for clip in read_clips(out)})
    usable = [one for one in rated if one.code != UNRATEABLE]
    known = set(written_sessions(out))
    gone = {one.clip.key for one in usable if one.clip.ids not in known}
    found = list(_with_samples(out, [one for one in usable if one.clip.ids in known]))
    weights = Counter(sha256 for _, sha256 in found)
    used = max(sorted(weights), key=weights.__getitem__, default="")
    clips = tuple(one for one, sha256 in found if sha256 == used and len(one.seconds))
    if not clips:
        raise InputError(f"{out}: no rated clip has a usable answer and a readable face; rate more clips.")
    left_out = {
        "only answered by “can't tell”": {one.clip.key for one in rated} - {one.clip.key for one in usable},
        "of sessions without a timeline": gone,
        "read with other weights": {one.clip.key for one, sha256 in found if sha256 != used},
        "without a readable face of the same person": {
            one.clip.key for one, _ in found if not len(one.seconds)
        },
    }
    told = [f"{len(keys)} clips {why} are left out" for why, keys in left_out.items() if keys]
    return RatedStudy(clips, used, (*notes, *told))


def _with_samples(out: Path, rated: Sequence[RatedClip]) -> Iterator[tuple[ClipSamples, str]]:
    """Each clip, and the sha256 of the weights with which its session was read."""
    by_session = sorted(rated, key=lambda one: (one.clip.ids, one.clip.key))
    for ids, of_session in groupby(by_session, key=lambda one: one.clip.ids):
        path = timeline_path(out, *ids)
        timeline = read_timeline(path)
        with malformed_as_timeline_error(path):
            sha256 = str(timeline.metadata["weights"]["sha256"])
        samples = observed(timeline)
        for _, of_clip in groupby(of_session, key=lambda one: one.clip.key):
            answers = list(of_clip)
            yield _clip_samples(answers, samples, shows_same(answers[0].clip, timeline)), sha256


def _clip_samples(rated: Sequence[RatedClip], samples: Observed, is_same: bool) -> ClipSamples:
    """:param is_same: whether the machine still reads the person whom the raters saw."""
    clip = rated[0].clip
    seconds = np.minimum(samples.end_s, clip.end_s) - np.maximum(samples.start_s, clip.start_s)
    inside = (seconds > 1e-6) & is_same
    return ClipSamples(
        clip,
        Counter(one.code for one in rated),
        frozenset(one.rater for one in rated),
        np.log(np.maximum(samples.probabilities[inside], SMALLEST)),
        seconds[inside],
    )


# --- estimate and test


def estimate(study: RatedStudy) -> Adaptation:
    """Estimate the parameters from all clips, and test them on those left out in turn.

    :raises InputError: too few clips, patients or sessions.
    """
    unit = PATIENTS if len(study.patients) >= MIN_PATIENTS else SESSIONS
    if len(study.clips) < MIN_CLIPS or len(study.sessions) < MIN_PATIENTS:
        raise InputError(
            f"{len(study.clips)} usable clips of {len(study.sessions)} sessions: an adaptation needs "
            f"{MIN_CLIPS} of {MIN_PATIENTS}; rate more clips."
        )
    rated = as_rated_samples(study.clips, unit)
    shift, test = helpful_shift(rated)
    return Adaptation(
        temperature=shift.temperature,
        offsets=_by_name(shift.offsets),
        weights_sha256=study.weights_sha256,
        clips=len(study.clips),
        raters=len(study.raters),
        patients=len(study.patients),
        sessions=len(study.sessions),
        prior_log_t=PRIOR_LOG_T,
        prior_offset=PRIOR_OFFSET,
        unit=unit,
        test=test,
        own=_estimate_own(study, rated, shift) if test.helps and unit == PATIENTS else None,
    )


def _estimate_own(study: RatedStudy, rated: RatedSamples, shift: Shift) -> PatientOffsets | None:
    """Own offsets of all patients with enough clips, or of none if they do not help.

    :param shift: of the study. :returns: ``None`` if too few patients have enough clips for a test.
    """
    enough = patients_with_enough(rated)
    if len(enough) < MIN_OWN_PATIENTS:
        return None
    test = session_test(rated, shift, enough)
    names = sorted(study.patients)
    patients = {}
    for patient in enough if test.helps else ():
        sessions = rated.session[rated.cluster == patient]
        offsets = _by_name(own_offsets(rated, shift, patient))
        patients[names[patient]] = OwnOffsets(offsets, len(sessions), len(np.unique(sessions)))
    return PatientOffsets(patients, PRIOR_OWN, test)


def _by_name(offsets: Floats) -> dict[str, float]:
    return dict(zip(EMOTIONS, map(float, offsets), strict=True))


def as_rated_samples(clips: Collection[ClipSamples], unit: str) -> RatedSamples:
    """The arrays of the clips; clusters are patients, or sessions, in order of their names."""
    patients, sessions = [one.clip.patient_id for one in clips], ["/".join(one.clip.ids) for one in clips]
    lengths = [len(one.seconds) for one in clips]
    return RatedSamples(
        np.concatenate([one.logs for one in clips]),
        np.concatenate([one.seconds for one in clips]),
        np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        np.stack([one.votes for one in clips]),
        np.array([one.clip.weight for one in clips]),
        _numbered(patients if unit == PATIENTS else sessions),
        _numbered(sessions),
    )


def _numbered(names: Sequence[str]) -> Places:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


# --- words


def told(adaptation: Adaptation) -> str:
    """What the test found, in one sentence."""
    whom = (
        "On patients that it had not seen"
        if adaptation.unit == PATIENTS
        else "On other sessions of the same patients (too few patients to leave one out)"
    )
    return f"{whom}, {_changes(adaptation.test)}"


def told_of_own(adaptation: Adaptation) -> str:
    """Whether patients have own offsets, and why, of an adaptation that helps."""
    own, count = adaptation.own, len(adaptation.own_patients)
    if own is None:
        return (
            f"No patient has own offsets: these need {MIN_OWN_PATIENTS} patients with {MIN_OWN_CLIPS} clips "
            f"each, of {MIN_OWN_SESSIONS} sessions."
        )
    seen = f"On sessions that it had not seen, {_changes(own.test)}"
    if count:
        return f"For {count} of {number_of(adaptation.patients, 'patient')}, own offsets. {seen}"
    return (
        f"No patient has own offsets: of {own.test.clusters} with enough clips, they are no improvement "
        f"beyond chance. {seen}"
    )


def _changes(test: HeldOutTest) -> str:
    agreement, loss = test.agreement, test.log_loss
    return (
        f"agreement went from {agreement.before:.0%} to {agreement.after:.0%} "
        f"({_points(agreement.difference)} percentage points [{_points(agreement.low)}, "
        f"{_points(agreement.high)}]), log loss from {loss.before:.3f} to {loss.after:.3f} "
        f"({_signed(loss.difference)} [{_signed(loss.low)}, {_signed(loss.high)}]; less is better)."
    ).replace("%", " %")


def _points(share: float) -> str:
    text = f"{100 * share:+.0f}"
    return "0" if text in ("+0", "-0") else text.replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
