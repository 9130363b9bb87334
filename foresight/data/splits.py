"""Proof that nothing is measured on a picture that was trained on: by content, not by file name or seed."""

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np

from foresight.data.clip_set import ClipSet
from foresight.data.image_set import ImageSet, hash_pixels


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


def prove_unseen(name: str, pictures: np.ndarray, seen: Iterable[np.ndarray]) -> None:
    """Raises ValueError when one of the further set's pictures, or a frame of its clips, is among those `seen`.

    Arrays are uint8 [N, S, S, 3], what the encoders see: a frame of a clip and a picture can only be compared there.
    """
    known = {hash_pixels(picture) for array in seen for picture in array}
    shared = sorted({hash_pixels(picture) for picture in pictures} & known)
    if shared:
        raise ValueError(
            f"the set '{name}' shows {len(shared)} pictures that are trained on or validated with, for example {shared[0]}"
        )
