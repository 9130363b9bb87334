"""Ctrl-C while a command is still importing: one line and exit code 130, as at any later moment.

The commands import this first: their other imports take a second, in which Python would answer with a traceback.
"""

import sys
from types import TracebackType

INTERRUPTED = 130


def end_quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's last word on an exception that nobody caught; of an interrupt, a short one."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)


if sys.excepthook is sys.__excepthook__:  # a debugger's or a notebook's own stays
    sys.excepthook = end_quietly
