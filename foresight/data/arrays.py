"""The check that every record of arrays makes: each array has the type and the shape that the record states."""

from typing import Any

import numpy as np


def check_arrays(record: Any, where: str, expected: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Raises ValueError naming the first array of `record` that is not as expected, and `where` it belongs.

    `expected` gives for each attribute its type (numpy's kind and bytes, "U" for text of any length) and shape.
    """
    for name, (dtype, shape) in expected.items():
        array: np.ndarray = getattr(record, name)
        if array.shape != shape or dtype not in (array.dtype.str[1:], array.dtype.kind):
            raise ValueError(
                f"'{name}' of {where} must be {dtype} {list(shape)}, not {array.dtype.str[1:]} {list(array.shape)}"
            )
