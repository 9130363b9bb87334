"""Part: what every record of the config is made from."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def changed_fields(self) -> dict[str, Any]:
        """The fields that differ from their defaults: {name: (default, value)}."""
        defaults, values = _defaults(type(self)), vars(self)
        if values == defaults:  # the usual case, of which a space of thousands of arms asks twenty times an arm
            return {}
        return {name: (default, values[name]) for name, default in defaults.items() if values[name] != default}


@cache
def _defaults(kind: type[Part]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in kind.model_fields.items()}


def refuse_unread(who: str, part: Part, names: tuple[str, ...] | None = None, path: str = "") -> None:
    """Raises ValueError when a field that nothing reads is set: it would make two trials differ in name only.

    `names` are the unread fields of `part`, all of them by default; `path` is written before each name.
    """
    for name, (default, value) in part.changed_fields().items():
        if names is None or name in names:
            raise ValueError(
                f"{who} does not read '{path}{name}', so it must keep its default {default!r}, not {value!r}"
            )
