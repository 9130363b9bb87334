"""What a task found, with the time that it held its place: a study pays for that also where no trial runs."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Timed(Generic[Result]):
    """What a task found, and how many seconds it took."""

    result: Result
    seconds: float


def timed(task: Callable[Arguments, Result]) -> Callable[Arguments, Timed[Result]]:
    """The task, under its own name, with the time that it takes; its imports are a part of it, starting its process is not."""

    @functools.wraps(task)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> Timed[Result]:
        started = time.monotonic()
        result = task(*arguments, **named)
        return Timed(result, time.monotonic() - started)

    return run
