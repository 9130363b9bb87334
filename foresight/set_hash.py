"""One hash over a set of images, so that two splits can be compared by 16 characters and checked against their images."""

import hashlib
from collections.abc import Iterable


def compute_set_hash(sample_hashes: Iterable[str]) -> str:
    """16 hex digits over the content hashes of a split's images, in any order: equal exactly for equal sets."""
    return hashlib.sha256(" ".join(sorted(sample_hashes)).encode()).hexdigest()[:16]
