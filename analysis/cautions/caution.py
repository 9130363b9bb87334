"""A caution, and how it lists names without drowning its reader."""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_NAMES = 5  # arms, trials or seeds that one caution names


@dataclass(frozen=True)
class Caution:
    """`kind` is one word for programs, `text` a sentence made from stored values."""

    kind: str
    text: str


def listed(names: Iterable[object]) -> str:
    """`a, b, c, d, e and 12 more`."""
    shown = list(map(str, names))
    more = len(shown) - MOST_NAMES
    return ", ".join(shown[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
