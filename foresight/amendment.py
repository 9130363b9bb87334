"""Amendments: what was changed of a claim after it was registered, when, why, and how much was known by then.

They stand in sweep.json beside the claim, oldest first. Each holds the claim before and after it, so the way from the
registered claim to the one that is judged by is whole, or analysis refuses the study. Changes of what varies stand there
too (`space_changes`): they need no reason, as the plan itself is what runs, but a reader must know of them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from foresight.claim import Claim, hash_claim
from foresight.errors import RequestError

FIXED_BY_LOOKS = ("primary", "margin", "alpha", "spending")  # what a recorded look was judged by


@dataclass(frozen=True)
class Amendment:
    """One change of a claim: trees as `Claim.to_json` writes them, and the complete trials that had been seen."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str
    made: str  # ISO time
    n_complete: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def amend(sweep: Mapping[str, Any], claim: Claim, reason: str, n_complete: int, has_looks: bool) -> dict[str, Any]:
    """The content of sweep.json with another claim and the amendment that says so.

    Raises RequestError for a claim that is the registered one, one that was edited in sweep.json, an empty reason, and
    another metric, margin, alpha or spending once looks are recorded: what these decided stands, and was decided by the old
    ones.
    """
    if not reason.strip():
        raise RequestError("an amendment needs its reason: --amend 'why the claim was changed'")
    check_untouched(sweep, claim)
    if sweep["claim_hash"] == claim.hash:
        raise RequestError(f"the claim is the registered one ({claim.hash}), so there is nothing to amend")
    before, after = sweep["claim"], claim.to_json()
    changed = [name for name in FIXED_BY_LOOKS if before.get(name) != after.get(name)]
    if has_looks and changed:
        raise RequestError(
            f"looks are recorded in looks.json already, so the claim's {', '.join(changed)} cannot be amended any more; use "
            "another --runs for the new claim"
        )
    made = datetime.now(UTC).isoformat(timespec="seconds")
    amendment = Amendment(before, after, reason.strip(), made, n_complete)
    return {
        **sweep,
        "claim": after,
        "claim_hash": claim.hash,
        "amendments": [*sweep.get("amendments", ()), amendment.to_json()],
    }


def check_untouched(sweep: Mapping[str, Any], declared: Claim | None = None) -> None:
    """Raises RequestError where the claim in sweep.json is not the one whose hash stands beside it, saying what was edited.

    That is known where the study's script still declares the registered claim, or an amendment holds it.
    """
    registered, found = sweep.get("claim_hash"), hash_claim(sweep["claim"])
    if found == registered:
        return
    known = [amendment["after"] for amendment in sweep.get("amendments", ()) if "after" in amendment]
    known += [declared.to_json()] if declared else []
    whole = [tree for tree in known if hash_claim(tree) == registered]
    if whole:
        edited = f"was edited by hand ({'; '.join(compute_changes(whole[0], sweep['claim']))}); put that back"
    else:
        edited = (
            f"was edited by hand: it hashes to {found}, and {registered} was registered; put it back as it was then"
        )
    raise RequestError(
        f"the claim in sweep.json {edited}; to change a claim, change it in the study's script, and record that with --amend"
    )


def read_amendments(sweep: Mapping[str, Any]) -> tuple[Amendment, ...]:
    """The amendments in the content of sweep.json, oldest first.

    Raises RequestError when one does not follow from the one before, or the last does not lead to the claim.
    """
    try:
        amendments = tuple(Amendment(**stored) for stored in sweep.get("amendments", ()))
    except TypeError as error:
        raise RequestError(f"an amendment in sweep.json is damaged: {error}") from error
    for amendment in amendments:
        kinds = {"reason": str, "made": str, "n_complete": int, "before": Mapping, "after": Mapping}
        odd = [name for name, kind in kinds.items() if not isinstance(getattr(amendment, name), kind)]
        if odd:
            raise RequestError(
                f"an amendment in sweep.json is damaged: its {', '.join(odd)} is no {kinds[odd[0]].__name__}"
            )
        if not amendment.reason.strip():
            raise RequestError(
                f"the amendment of {amendment.made} in sweep.json gives no reason, so nothing says why the claim was changed"
            )
    after = [hash_claim(amendment.after) for amendment in amendments]
    before = [hash_claim(amendment.before) for amendment in amendments]
    if amendments and [*before[1:], sweep.get("claim_hash")] != after:
        raise RequestError(
            f"the amendments in sweep.json do not lead to its claim {sweep.get('claim_hash')}: they go "
            f"{', '.join(f'from {a} to {b}' for a, b in zip(before, after, strict=True))}"
        )
    return amendments


def known_claims(sweep: Mapping[str, Any]) -> tuple[str, ...]:
    """Hashes of every claim that a trial of the study may have been run for: the registered one and what it became."""
    return (*(hash_claim(amendment.before) for amendment in read_amendments(sweep)), str(sweep.get("claim_hash", "")))


def space_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any], n_complete: int) -> list[dict[str, Any]]:
    """What varies now and did not, or did and does not, as a list of one entry for sweep.json; empty where nothing changed.

    A change before the first complete trial is none: nothing was known by then. Configurations of arms that stay cannot
    change at all (`preflight.check_same_arms`).
    """
    if before is None or not n_complete:
        return []
    old, new = (_levels(json.loads(json.dumps(space))) for space in (before, after))  # a file has no tuples
    added, removed = [x for x in new if x not in old], [x for x in old if x not in new]
    if before["design"] != after["design"]:
        added, removed = [f"design {after['design']}", *added], [f"design {before['design']}", *removed]
    if not (added or removed):
        return []
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return [{"made": made, "n_complete": n_complete, "added": added, "removed": removed}]


def _levels(space: Mapping[str, Any]) -> list[str]:
    factors: Iterable[Mapping[str, Any]] = space["factors"]
    searched = [_range(dimension) for dimension in space.get("dimensions", ())]
    return [f"{factor['name']} {level}" for factor in factors for level in factor["levels"]] + searched + _method(space)


def _method(space: Mapping[str, Any]) -> list[str]:
    """How a search proposes, and what it stops and knows beforehand, as phrases; how far it goes may change at any time."""
    search = space.get("search")
    if search is None:
        return []
    rungs = [f"stopped after epoch {', '.join(map(str, search['rungs']))}"] if search["rungs"] else []
    sources = [f"warm start from {name}" for name in search["warm_start"]]
    return [f"sampler {search['sampler']}", f"sampler seed {search['sampler_seed']}", *rungs, *sources]


def _range(dimension: Mapping[str, Any]) -> str:
    """What a search proposes of one field, as a phrase: `train.lr (low 0.0001, high 0.01, log True)`."""
    told = [f"{name} {value}" for name, value in dimension.items() if name not in ("kind", "field") and value]
    return f"{dimension['field']} ({', '.join(told)})"


def compute_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two claims, as `margin 0.02 -> 0.03`, each criterion by its metric."""
    old, new = _flat(before), _flat(after)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return [f"{name} {_shown(old, name)} -> {_shown(new, name)}" for name in names]


def _flat(claim: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in claim.items() if name != "criteria"}
    for criterion in claim.get("criteria", ()):
        on = f" on {criterion['on']}" if criterion.get("on") else ""
        levels = {k: v for k, v in criterion.items() if k not in ("metric", "on")}
        flat |= {f"{criterion['metric']}{on} {level}": value for level, value in levels.items()}
    return flat


def _shown(flat: Mapping[str, Any], name: str) -> str:
    if name not in flat:
        return "none"
    value = flat[name]
    return f"{value:g}" if isinstance(value, int | float) else repr(value) if isinstance(value, str) else str(value)
