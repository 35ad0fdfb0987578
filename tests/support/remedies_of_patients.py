"""Carry out the advice of messages about ``patients.csv``."""

from remedies import Kit, Steps, remedy


def patients(message: str, *texts: str) -> None:
    """Enters a case: a table of which something is left out, and tables as advised."""

    def case(kit: Kit) -> Steps:
        kit.study()
        for text in texts:
            kit.table("patients.csv", *text.split("|"), folder=kit.out)
            yield kit.run("report", kit.out)

    case.__name__ = f"patients {texts[0]}"
    remedy(message)(case)


HEAD = "patient_id;age"
GOOD = f"{HEAD}|P1;80"

patients("{}: no column 'patient_id'; add it, with one row for each patient.", "age|80", GOOD)
patients("no patient; write one line for each.", HEAD, GOOD)
patients("empty; give the patient's pseudonym.", f"{HEAD}|;80", GOOD)
patients("not a usable id. Give a pseudonym of letters, digits,", f"{HEAD}|Anna M.;80", GOOD)
patients("a column without a name; give it one.", "patient_id;|P1;80", GOOD)
patients("{}: {} and {} mean the same column; keep one.", "patient_id;patient|P1;P1", "patient_id|P1")
patients(
    "this name has another meaning; begin it with {}, or give another.",
    "patient_id;participant_id|P1;7",
    "patient_id;x_participant_id|P1;7",
    "patient_id;number|P1;7",
)
patients(
    "{} and {} count as two categories; write one of them.",
    "patient_id;sex|P1;f|P2;F",
    "patient_id;sex|P1;f|P2;f",
)
patients(
    "Delete the column (write an age instead); rename it if it holds something else.",
    "patient_id;drug name|P1;none",
    "patient_id|P1",
    GOOD,
    "patient_id;drug|P1;none",
)


@remedy("{}: not there, so that nothing was adjusted; write one row for each patient.")
def nothing_to_adjust_for(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("summarize", kit.out, "--adjust", "age")
    kit.table("patients.csv", "patient_id;age", "P1;80", "P2;70", folder=kit.out)
    yield kit.run("summarize", kit.out, "--adjust", "age")
