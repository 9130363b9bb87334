"""Random numbers addressed by (stream, index, field) instead of drawn in order.

A sequential generator gives image 7 different numbers when 20 images are asked for than when 10 are. A hash
of the counter does not, so any prefix of a stream is stable and any part of it can be made alone.
"""

import hashlib

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64's increment: 2^64 divided by the golden ratio
_WORD = 0xFFFFFFFFFFFFFFFF


def stream_of(*names: str | int) -> int:
    """A stream's 64-bit number, from the names that tell it from all others: say dataset, split and seed."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:8], "big")


def u01(stream: int, index: np.ndarray, field: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 [N], one for each counter of `index` (integers >= 0, [N]).

    `field` tells apart the several numbers that one counter needs.
    """
    counter = np.asarray(index).astype(np.uint64) + np.uint64(1)
    word = _mix(counter * np.uint64(_GOLDEN) + np.uint64(stream & _WORD))
    word = _mix(word + np.uint64((field + 1) * _GOLDEN & _WORD))
    return (word >> np.uint64(11)) * 2.0**-53  # 53 bits are what a double holds exactly


def shuffled(stream: int, n: int, size: int, field: int) -> np.ndarray:
    """0 to `size` - 1 in an order of its own for every `size` counters from 0 on: int [n], prefix-stable.

    Every block holds each number once, so the numbers are balanced from the first block on.
    """
    keys = u01(stream, np.arange(-(-n // size) * size), field).reshape(-1, size)
    return np.argsort(keys, axis=1, kind="stable").ravel()[:n]


def _mix(word: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser (Steele, Lea and Flood 2014); products wrap modulo 2^64 by intent."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
