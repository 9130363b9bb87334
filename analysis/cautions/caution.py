"""A caution, and how it lists names without drowning its reader."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.load import StudyData

MOST_NAMES = 5  # arms, trials or seeds that one caution names


@dataclass(frozen=True)
class Caution:
    """`kind` is one word for programs, `text` a sentence made from stored values, `keys` the trials it is about, if any."""

    kind: str
    text: str
    keys: tuple[str, ...] = ()


def keys_of(data: StudyData, arms: Iterable[str]) -> tuple[str, ...]:
    """The trials that every number of the arms is over."""
    return tuple(data.keys_at(arms, sorted(data.registered["seed"].unique())).split())


def listed(names: Iterable[object]) -> str:
    """`a, b, c, d, e and 12 more`."""
    shown = list(map(str, names))
    more = len(shown) - MOST_NAMES
    return ", ".join(shown[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
