"""Money as people state it: an amount with its currency. No run log knows what an hour costs."""

import re
from dataclasses import dataclass

from foresight.errors import RequestError

SECONDS_PER_HOUR = 3600
MONEY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]{3})\s*")


@dataclass(frozen=True)
class Money:
    """An amount in a currency of three letters."""

    amount: float
    currency: str


@dataclass(frozen=True)
class Price:
    """What a GPU-hour costs: `per_gpu_hour` in `currency`, a three-letter code."""

    per_gpu_hour: float
    currency: str


def read_price(text: str) -> Price:
    """`2.10 EUR` as a Price. Raises RequestError for anything else: an amount without its currency means nothing."""
    found = _read(text, "price", "give an amount and a currency of three letters per GPU-hour: --price '2.10 EUR'")
    return Price(found.amount, found.currency)


def read_money(text: str) -> Money:
    """`50 EUR` as Money. Raises RequestError as `read_price`."""
    return _read(text, "amount of money", "give it with a currency of three letters: --budget-money '50 EUR'")


def _read(text: str, what: str, way_out: str) -> Money:
    found = MONEY.fullmatch(text)
    if not found:
        raise RequestError(f"'{text}' is no {what}; {way_out}")
    return Money(float(found[1]), found[2].upper())


def compute_money(gpu_s: float, per_gpu_hour: float) -> float:
    """GPU-seconds at a price per GPU-hour."""
    return gpu_s / SECONDS_PER_HOUR * per_gpu_hour
