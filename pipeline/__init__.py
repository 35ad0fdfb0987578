"""A video → frames → faces → tracks → emotions → timeline. It does not know how a classifier is built."""

from pipeline.batch import Outcome, check_id, plan_sessions, process_sessions, read_status
from pipeline.errors import InputError, OutputError, PipelineError, TimelineError, VideoError
from pipeline.faces import Detections, Framing, MtcnnDetector
from pipeline.session import Instruments, QualityLimits, Session, Settings, process_session
from pipeline.summary import Span, Summary, summarize
from pipeline.timeline import Timeline, read_timeline
from pipeline.video import SampledVideo, VideoInfo, probe

__all__ = [
    "Detections",
    "Framing",
    "InputError",
    "Instruments",
    "MtcnnDetector",
    "Outcome",
    "OutputError",
    "PipelineError",
    "QualityLimits",
    "SampledVideo",
    "Session",
    "Settings",
    "Span",
    "Summary",
    "Timeline",
    "TimelineError",
    "VideoError",
    "VideoInfo",
    "check_id",
    "plan_sessions",
    "probe",
    "process_session",
    "process_sessions",
    "read_status",
    "read_timeline",
    "summarize",
]
