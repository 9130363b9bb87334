"""A trial's process that Ray's memory monitor has ended is lost as any other: Tune tries the trial again.

Where a machine runs out of memory Ray ends the process that it would miss least, and says so by an OutOfMemoryError. Tune
(2.60) knows an actor's death and a task's own error, and ends the whole run at anything else.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

WANT_OF_MEMORY = "Ray ended it, as its machine ran out of memory"


@contextlib.contextmanager
def taken_for_losses() -> Iterator[None]:
    """While Tune runs in this process."""
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    failed = RayActorManager._actor_task_failed

    def failed_or_lost(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            # Not Ray's own words: they list the command lines of the machine's largest processes.
            exception = RayActorError(error_msg=WANT_OF_MEMORY)
        failed(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed_or_lost  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = failed  # type: ignore[method-assign]
