"""Waivers: a person's decision to let a gate open although a criterion is not met. Never a pass, and shown as what it is.

In: `waivers.yaml`, kept beside the project's code and reviewed like it:

    waivers:
      - study: p2_end_to_end
        metric: latency_overhead
        name: Ada Lovelace
        date: 2026-11-20
        reason: the VLM runs on another machine in the product

`on` names the further set of a criterion that is judged on one. Numbers that are not ours (imported) cannot be waived.
"""

import datetime
from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foresight.claim import Claim
from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS

DEFAULT_FILE = Path("waivers.yaml")
REPOSITORY = Path(__file__).parents[1]


class WaiverError(RequestError):
    """A waiver of what cannot be waived: the file of waivers is wrong, and no study."""


class Waiver(BaseModel):
    """Who waived which criterion of which study, when and why."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, str_strip_whitespace=True)

    study: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    on: str = ""
    name: str = Field(min_length=1)
    date: datetime.date
    reason: str = Field(min_length=1)

    @property
    def text(self) -> str:
        """`waived by NAME on DATE: reason`."""
        return f"waived by {self.name} on {self.date.isoformat()}: {self.reason.rstrip('.')}"


class _WaiverLoader(yaml.SafeLoader):
    """YAML as people write it: to YAML 1.1 the word `on` is `true`, and so could be no field."""


_WaiverLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _WaiverFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    waivers: list[Waiver]


def read_waivers(path: Path | None, studies: Iterable[str]) -> tuple[Waiver, ...]:
    """The waivers in `path`, or in DEFAULT_FILE where there is one and none was named. `studies` are the known ones.

    Raises RequestError for a file that cannot be read, a field that is missing, unknown or empty, an unknown study or
    metric, a date that is still to come, and two waivers of one criterion.
    """
    if path is None and not DEFAULT_FILE.exists():
        return ()
    path = path or DEFAULT_FILE
    try:
        found = _WaiverFile.model_validate(_WaiverLoader(path.read_text()).get_single_data()).waivers
    except OSError as error:
        raise RequestError(f"the waivers in {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"in {path}, '{where}' is wrong: {first['msg'].lower()}" if where else f"{path} holds no list 'waivers'"
        raise RequestError(said) from error
    except (yaml.YAMLError, ValueError) as error:  # no YAML, no UTF-8, or a date that no calendar has
        raise RequestError(f"the waivers in {path} are no YAML: {' '.join(str(error).split())}") from error
    known, seen = sorted(set(studies)), set()
    for waiver in found:
        _check_known(f"{path} waives a criterion of", "study", waiver.study, known)
        _check_known(f"{path} waives, of '{waiver.study}',", "metric", waiver.metric, list(METRICS))
        if waiver.date > datetime.date.today():
            raise RequestError(
                f"{path} waives '{waiver.metric}' of '{waiver.study}' on {waiver.date.isoformat()}, which is still to come; "
                "a waiver has the date on which it was given"
            )
        criterion = (waiver.study, waiver.metric, waiver.on)
        if criterion in seen:
            raise RequestError(f"{path} waives '{waiver.metric}' of '{waiver.study}' twice; keep one of them")
        seen.add(criterion)
    return tuple(found)


def known_studies(runs: Path) -> list[str]:
    """Every study that has a run log, or a script and a space: a waiver may be written before its study is run here."""
    recorded = {path.parent.name for path in runs.glob("*/sweep.json")}
    scripts, spaces = ({path.stem for path in (REPOSITORY / name).glob("*.py")} for name in ("sweeps", "search_spaces"))
    return sorted(recorded | (scripts & spaces - {"__init__"}))


def waivers_of(study: str, claim: Claim, waivers: Iterable[Waiver]) -> dict[tuple[str, str], Waiver]:
    """Metric and further set of a criterion to its waiver. Raises WaiverError for one of no criterion of the claim."""
    criteria = {(criterion.metric, criterion.on) for criterion in claim.criteria}
    mine = {(waiver.metric, waiver.on): waiver for waiver in waivers if waiver.study == study}
    for metric, on in mine:
        if (metric, on) not in criteria:
            listed = ", ".join(f"{m} on {o}" if o else m for m, o in sorted(criteria)) or "none"
            hint = nearest_name(metric, [m for m, _ in criteria if m != metric])
            where = f"'{metric}' on '{on}'" if on else f"'{metric}'"
            raise WaiverError(
                f"a waiver names {where} of '{study}', which is no criterion of it{hint}; it has {listed}"
            )
    return mine


def _check_known(who: str, what: str, given: str, known: list[str]) -> None:
    if given not in known:
        raise RequestError(f"{who} an unknown {what} '{given}'{nearest_name(given, known)}; known: {', '.join(known)}")
