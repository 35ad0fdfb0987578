"""Carry out the advice of messages about adaptations to raters."""

from adaptations import make_adaptation
from remedies import Kit, Steps, remedy

from pipeline.analysis.adaptation import write_adaptation
from pipeline.store.parquet import read_metadata
from pipeline.store.paths import timeline_path


def adapted(kit: Kit, content: bytes) -> Steps:
    kit.study()
    bad, good = kit.folder / "bad.json", kit.folder / "good.json"
    bad.write_bytes(content)
    weights = read_metadata(timeline_path(kit.out, "P1", "S1"))["weights"]["sha256"]
    write_adaptation(good, make_adaptation(weights))
    yield kit.run("summarize", kit.out, "--adapt", bad)
    yield kit.run("summarize", kit.out, "--adapt", good)
    yield kit.run("summarize", kit.out, "--adapt", "none")


@remedy(
    "{}: no adaptation, or changed since it was written ({}); give another file, or leave it out with "
    "`emonext summarize DIR --adapt {}`."
)
def a_changed_adaptation(kit: Kit) -> Steps:
    yield from adapted(kit, b"{}")


@remedy("give an {} of `emonext adapt`")
def an_adaptation_that_is_no_text(kit: Kit) -> Steps:
    yield from adapted(kit, b"\xff\xfe")
