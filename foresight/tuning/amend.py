"""`--amend REASON`: records that a study's claim was changed after its run began. Nothing else is run or written."""

from rich.console import Console

from foresight.amendment import amend
from foresight.claim import Claim
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.tuning import preflight


def amend_claim(study: str, claim: Claim, log: RunLog, reason: str, console: Console) -> None:
    """Makes `claim` the claim of the run log, with the one that it replaces, the reason and what was known by then.

    Raises RequestError for a run log without a claim, of another study or in use, for a claim that is the registered one
    or cannot be judged on the planned arms, for what recorded looks have fixed, and for an empty reason.
    """
    log.refresh()
    preflight.check_readable(log)
    if log.read_sweep() is None:
        raise RequestError(f"{log} holds no claim yet, so there is nothing to amend; run the study")
    with preflight.only_driver(log):
        stored = log.read_sweep() or {}
        if stored["study"] != study:
            raise RequestError(f"{log} belongs to the study '{stored['study']}', not '{study}'; use another --runs")
        claim.check()
        claim.check_arms(list(dict.fromkeys(log.read_manifest()["arm"])))
        n_complete = list(log.statuses().values()).count("complete")
        amended = amend(stored, claim, reason, n_complete, bool(log.read_looks()))
        log.write_sweep(amended)
    console.print(
        f"{study}: claim {stored['claim_hash']} is now {claim.hash}, amended after {n_complete} complete trials; "
        "every verdict will say so",
        soft_wrap=True,
    )
