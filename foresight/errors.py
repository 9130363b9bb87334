"""The errors that are the user's to fix, each said in one sentence: a wrong request, and what ends a run half-way."""

import difflib
import errno
import re
from collections.abc import Iterable
from textwrap import shorten

REASON_CHARACTERS = 240  # of what a reader of files says about a damaged one; cut between words, and seen to be
# Readers of Parquet begin with the path, which our sentences name already.
_NAMED_AGAIN = re.compile(r"^Could not open Parquet input source '[^']*': ")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RequestError(ValueError):
    """A request that cannot be carried out as given. The commands print its text and exit with code 2."""


class RunEndedError(RuntimeError):
    """The machine cannot go on with a run, such as with a full disk. The commands print its text and exit with code 1."""


class StorageError(OSError):
    """An object store fails amid a run. The commands print its text and exit with code 1."""


def find_disk_error(error: BaseException | None) -> OSError | None:
    """The full or write-protected disk behind an error, if that is what is behind it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        error = error.__cause__ or error.__context__
    return None


def find_storage_error(error: BaseException | None) -> StorageError | None:
    """The object store's failure behind an error, if that is what is behind it."""
    while error is not None and not isinstance(error, StorageError):
        error = error.__cause__ or error.__context__
    return error


def find_ended(error: BaseException | None) -> RunEndedError | None:
    """The RunEndedError behind an error of somebody who has passed it on, if there is one."""
    while error is not None and not isinstance(error, RunEndedError):
        error = error.__cause__ or error.__context__
    return error


def nearest_name(given: str, allowed: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest allowed name, upper or lower case, or an empty string when nothing is close."""
    names = {name.casefold(): name for name in allowed}
    matches = difflib.get_close_matches(given.casefold(), names, n=1, cutoff=0.5)
    return f" (did you mean '{names[matches[0]]}'?)" if matches else ""


def describe_damage(error: BaseException) -> str:
    """Why a file cannot be read, on one line, as its reader says it; the error's name where that says nothing."""
    said = _NAMED_AGAIN.sub("", " ".join(str(error).split()))
    return shorten(said, REASON_CHARACTERS, placeholder=" …").rstrip(".") or type(error).__name__
