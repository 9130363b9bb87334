"""Proof that nothing is measured on a picture that was trained on: by content, not by file name or seed."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from foresight.data.clip_set import ClipSet
from foresight.data.image_set import ImageSet


def prove_disjoint(sets: Mapping[str, ImageSet | ClipSet], kind: str = "images") -> None:
    """Raises ValueError when two splits share a picture or clip, or when the test split holds one twice.

    A picture twice in training is only a weight on it. Twice in test, it makes n too large and every
    interval too narrow.
    """
    for (first, first_set), (second, second_set) in combinations(sets.items(), 2):
        shared = np.intersect1d(first_set.sample_hash, second_set.sample_hash)
        if len(shared):
            raise ValueError(f"the splits '{first}' and '{second}' share {len(shared)} {kind}, for example {shared[0]}")
    if "test" in sets:
        hashes, counts = np.unique(sets["test"].sample_hash, return_counts=True)
        repeated = hashes[counts > 1]
        if len(repeated):
            raise ValueError(f"the split 'test' holds {len(repeated)} {kind} more than once, for example {repeated[0]}")
