"""All studies of a folder of run logs rolled up into the gates of the plan.

In: the folder, the definitions and the waivers. Out: frames with STUDY_COLUMNS and GATE_COLUMNS. A gate is `passed` if
every experiment that it needs is met, `open by waiver` if some are met only by waivers, else `closed`. An experiment that
no study measures, or whose run log has no numbers, is `not measured`, and so its gate is closed.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis import load
from analysis.amendments import describe_amendments
from analysis.assessment import study_status
from analysis.gate import closed_by, state_of, waived_in
from analysis.gate_definitions import GATES, GateDefinition
from analysis.waivers import Waiver, WaiverError
from foresight.errors import RequestError

STUDY_COLUMNS = ("study", "status", "state", "criteria_met", "criteria", "reasons")
GATE_COLUMNS = ("gate", "status", "unlocks", "experiment", "study", "state", "reasons")


def build_studies(runs: Path, waivers: Iterable[Waiver] = ()) -> pd.DataFrame:
    """One row per study in `runs`: its status, what its own gate came to, and the sentences of that.

    `reasons` ends with every amendment of the claim and change of the space, whatever the gate came to.
    A run log that cannot be analysed is a row as well, `not measured` with the sentence that says why. Raises WaiverError
    for a waiver of no criterion: the study is not to blame.
    """
    rows = []
    waivers = tuple(waivers)
    for path in sorted(sweep.parent for sweep in runs.glob("*/sweep.json")):
        try:
            study = load(path, waivers=waivers)
            gate = study.gate()
            _ = study.data.curves  # curves that no report may be made from open no gate
        except WaiverError:
            raise
        except RequestError as error:
            found = {"status": "not readable", "state": "not measured", "criteria_met": 0, "criteria": 0}
            rows.append(found | {"study": path.name, "reasons": [str(error)]})
            continue
        criteria = gate[gate["what"] == "criterion"]
        amended = describe_amendments(study.amendments())
        found = {"study": path.name, "status": study_status(study.data), "state": state_of(gate)}
        found |= {"criteria_met": int((criteria["state"] == "met").sum()), "criteria": len(criteria)}
        rows.append(found | {"reasons": [*closed_by(gate), *waived_in(gate), *amended]})
    return pd.DataFrame(rows, columns=list(STUDY_COLUMNS))


def build_gates(studies: pd.DataFrame, definitions: tuple[GateDefinition, ...] = GATES) -> pd.DataFrame:
    """One row per gate and experiment that it needs; `status` is the gate's, the same in all of its rows."""
    by_name = {row["study"]: row for row in studies.to_dict("records")}
    rows = []
    for gate in definitions:
        found = []
        for experiment in gate.experiments:
            row = by_name.get(experiment.study)
            state = row["state"] if row else "not measured"
            missing = (
                f"{experiment.study} has no run log" if experiment.study else "no study of this system measures it"
            )
            reasons = row["reasons"] if row else [f"{experiment.name} was not measured: {missing}."]
            found.append({"experiment": experiment.name, "study": experiment.study, "state": state, "reasons": reasons})
        status = compute_gate_status([str(row["state"]) for row in found])
        rows += [{"gate": gate.name, "status": status, "unlocks": gate.unlocks, **row} for row in found]
    return pd.DataFrame(rows, columns=list(GATE_COLUMNS))


def compute_gate_status(states: list[str]) -> str:
    """`passed` if all experiments are met, `open by waiver` if all are met or waived, else `closed`."""
    if not states or set(states) - {"met", "waived"}:
        return "closed"
    return "open by waiver" if "waived" in states else "passed"


def describe_gates(gates: pd.DataFrame) -> list[str]:
    """One sentence for each gate and one, indented, for each of its experiments."""
    sentences = []
    for name, rows in gates.groupby("gate", sort=False):
        first = rows.iloc[0]
        opens = f", so {first['unlocks']} may begin" if first["status"] != "closed" else ""
        sentences.append(f"{name}: {first['status']}{opens}.")
        for _, row in rows.iterrows():
            study = f" ({row['study']})" if row["study"] else ""
            sentences.append(f"  {row['experiment']}{study}: {row['state']}.")
            sentences += [f"    {reason}" for reason in row["reasons"]]
    return sentences
