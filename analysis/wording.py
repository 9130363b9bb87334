"""Numbers and names as text: one way to write each, so that a number reads the same in every table and sentence."""

import math
from collections.abc import Iterable

from foresight.metrics import METRICS

DECIMALS = {"dB": 2, "squared intensity": 4, "ms": 2}  # by unit of the metric; 3 elsewhere
EMPTY = "–"


def number(value: float, decimals: int = 3) -> str:
    """`−0.031`; a dash when there is no value. Never `−0.000`."""
    if value is None or math.isnan(value):
        return EMPTY
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) != 0 else text.removeprefix("-")


def signed(value: float, decimals: int = 3) -> str:
    """As `number`, with a plus sign."""
    text = number(value, decimals)
    return f"+{text}" if not math.isnan(value) and float(f"{value:.{decimals}f}") > 0 else text


def interval(low: float, high: float, decimals: int = 3) -> str:
    """`[0.012, 0.050]`, or nothing where there is no interval."""
    return "" if math.isnan(low) else f"[{number(low, decimals)}, {number(high, decimals)}]"


def decimals_of(metric: str) -> int:
    return DECIMALS.get(METRICS[metric].unit, 3)


def metric_phrase(metric: str) -> str:
    """A metric's label inside a sentence: `mask IoU`, `LPIPS`."""
    label = METRICS[metric].label
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def metric_axis(metric: str) -> str:
    """A metric's label on an axis, with its unit: `PSNR (dB)`."""
    declared = METRICS[metric]
    return f"{declared.label} ({declared.unit})"


def better_arrow(metric: str) -> str:
    return "↑" if METRICS[metric].direction == "higher" else "↓"


def count(n: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def n_range(numbers: list[int], noun: str) -> str:
    """`5 seeds`, or `3 to 5 seeds` where arms differ."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return count(low, noun) if low == high else f"{low} to {high} {noun}s"


def with_interval(shown: str, numbers: list[int]) -> str:
    """`mean and 95 % interval`, or `mean, no interval` where nothing has two seeds."""
    return f"{shown} and 95 % interval" if max(numbers, default=0) > 1 else f"{shown}, no interval"


def p_value(p: float) -> str:
    if math.isnan(p):
        return EMPTY
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_phrase(p: float) -> str:
    """A p-value inside a sentence: `0.012`, `below 0.001`."""
    return p_value(p).replace("<", "below ")


def percent(share: float) -> str:
    """`80 %`, `4.7 %`."""
    return f"{100 * share:.3g} %" if share >= 0.1 else f"{100 * share:.2g} %"


def capitalised(text: str) -> str:
    """The first letter as at the head of a line; the rest keeps its capitals."""
    return text[:1].upper() + text[1:]


def whole_percent(share: float) -> str:
    """`30 %`, `−7 %`."""
    return f"{number(100 * share, 0)} %"


def short_verdict(verdict: str) -> str:
    """A verdict where there is little room: `no verdict (3 of 5, 2 failed)`."""
    return verdict.replace(" seeds", "")


def quantity(n: float) -> str:
    """`21.4 M`, `76.2 k`, `812`."""
    if n is None or math.isnan(n):
        return EMPTY
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {letter}"
    return f"{n:.0f}"


def duration(seconds: float) -> str:
    """`12 s`, `3.4 min`, `2.1 h`."""
    if math.isnan(seconds):
        return EMPTY
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"


def short_arms(arms: Iterable[str]) -> dict[str, str]:
    """Arm to its name without the groups its fields stand in: `strategy=concat`.

    A field keeps its group (`vlm.layer=8`) where another's bare name begins with the same letters (`layers=8`). A name
    without a field, as an imported arm's (`2.5M`), stays as it is.
    """
    parts = {arm: [part.split("=", 1) for part in arm.split(",")] for arm in arms}
    fields = {pair[0] for pairs in parts.values() for pair in pairs if len(pair) > 1}
    bare = {field: field.split(".")[-1] for field in fields}
    shared = {f for f in fields for g in fields - {f} if bare[f].startswith(bare[g]) or bare[g].startswith(bare[f])}
    return {
        arm: ", ".join(
            "=".join([pair[0] if pair[0] in shared else bare.get(pair[0], pair[0]), *pair[1:]]) for pair in pairs
        )
        for arm, pairs in parts.items()
    }
