"""Reading a file of the run log, so that a damaged one is named in one sentence."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from foresight.errors import RequestError, describe_damage

Content = TypeVar("Content")


def read_checked(read: Callable[[], Content], files: Iterable[Path]) -> Content:
    """What `read` returns; where it fails, a RequestError naming the first of `files` that cannot be read.

    Where each can be read by itself and all of them together cannot, it says what does not fit.
    """
    try:
        return read()
    except RequestError:
        raise
    except (pa.ArrowException, OSError, ValueError) as together:
        for file in files:
            try:
                json.loads(file.read_text()) if file.suffix == ".json" else pq.read_table(file)
            except (pa.ArrowException, OSError, ValueError) as error:
                advice = "delete it, it is derived and comes back" if file.name.startswith("consolidated") else ""
                advice = advice or "restore it from a copy, or delete it if what it held can be made again"
                raise RequestError(f"'{file}' cannot be read ({describe_damage(error)}); {advice}") from error
        if isinstance(together, pa.ArrowTypeError):
            raise RequestError(
                f"rows of the run log do not fit together ({describe_damage(together)}); write the odd ones anew"
            ) from together
        raise
