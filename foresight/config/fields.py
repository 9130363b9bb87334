"""Fields by their dotted names: which there are, and one sentence for a wrong one."""

import difflib
from functools import cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from foresight.config.part import Part
from foresight.config.trial import TrialConfig
from foresight.errors import RequestError


@cache
def field_names() -> tuple[str, ...]:
    """Every dotted field that a factor can vary."""
    return tuple(TrialConfig().flat())


def check_field(field: str) -> None:
    """Raises RequestError with the nearest name when `field` is not a field of TrialConfig."""
    known = field_names()
    if field not in known:
        siblings = [name for name in known if name.split(".")[0] == field.split(".")[0]] or known
        raise RequestError(f"unknown field '{field}'{_nearest_field(field)}; the fields are {', '.join(siblings)}")


def check_value(field: str, value: Any) -> None:
    """Raises RequestError for a value that the field has in no config, whatever else that sets."""
    check_field(field)
    kind: Any = TrialConfig
    *parts, leaf = field.split(".")
    for part in parts:
        kind = kind.model_fields[part].annotation
    info = kind.model_fields[leaf]
    kind = Annotated[info.annotation, info]
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=Part.model_config)
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"].lower()
        raise RequestError(f"'{field}' cannot be {value!r} ({type(value).__name__}): {said}") from error


def explain(error: ValidationError) -> str:
    """One sentence from pydantic's error: the field, what was given, what is allowed."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    given = first["input"]
    if first["type"] == "value_error":
        return f"impossible combination in '{field or 'the trial'}': {first['msg'].removeprefix('Value error, ')}"
    if first["type"] == "extra_forbidden":
        return f"unknown field '{field}'{_nearest_field(field)}"
    return f"'{field}' cannot be {given!r} ({type(given).__name__}): {first['msg'].lower()}"


def _nearest_field(given: str) -> str:
    """As `nearest_name`, by the last part of the name: among the fields of its own part of the config if there is one."""
    known = field_names()
    if any(name.startswith(f"{given}.") for name in known):
        return ""  # a whole part of the config
    part, _, leaf = given.rpartition(".")
    siblings = [name for name in known if part and name.startswith(f"{part}.")]
    # Of two fields with the same last name the shorter is meant: 'seed' before 'data.seed'.
    by_leaf = {name.rpartition(".")[2]: name for name in sorted(siblings or known, key=len, reverse=True)}
    closest = difflib.get_close_matches(leaf, by_leaf, n=1, cutoff=0.5)
    return f" (did you mean '{by_leaf[closest[0]]}'?)" if closest else ""
