"""The errors that are the user's to fix, each said in one sentence: a wrong request, and what ends a run half-way."""

import difflib
import errno
from collections.abc import Iterable

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RequestError(ValueError):
    """A request that cannot be carried out as given. The commands print its text and exit with code 2."""


class RunEndedError(RuntimeError):
    """The machine cannot go on with a run, such as with a full disk. The commands print its text and exit with code 1."""


def find_disk_error(error: BaseException | None) -> OSError | None:
    """The full or write-protected disk behind an error, if that is what is behind it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        error = error.__cause__ or error.__context__
    return None


def nearest_name(given: str, allowed: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest allowed name, or an empty string when nothing is close."""
    matches = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.5)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
