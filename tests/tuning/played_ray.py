"""A Ray that runs every call of an actor in this process, when it is waited for, and can lose a process."""

from types import SimpleNamespace
from typing import Any

from ray import exceptions
from ray.exceptions import ActorDiedError, RayTaskError


class PlayedRay:
    """`deaths` names the calls, counted from 0 over all processes, at which the process is lost; `places` are for processes.

    A process that has no place yet does not answer, not even that it is ready, until one before it is killed.
    """

    exceptions = exceptions

    def __init__(self, deaths: tuple[int, ...] = (), places: int = 99):
        self.deaths, self.places = deaths, places
        self.processes: list[Any] = []
        self.killed: list[Any] = []
        self.calls: list[tuple[Any, str]] = []  # process and method, in the order of the calls
        self.is_shut_down = False

    def remote(self, **options: Any) -> Any:
        def make(actor_class: Any) -> Any:
            return SimpleNamespace(remote=lambda *arguments: self._start(actor_class, arguments))

        return make

    def wait(self, references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        """The one that was asked for last is ready first: nothing may depend on the order."""
        placed = [process for process in self.processes if process not in self.killed][: self.places]
        answered = [
            call for call in references if getattr(call, "process", None) in [None, *placed]
        ]  # a task has no process
        return answered[-1:], [reference for reference in references if reference not in answered[-1:]]

    def get(self, reference: Any) -> Any:
        return reference()

    def kill(self, process: Any) -> None:
        self.killed.append(process)

    def shutdown(self) -> None:
        self.is_shut_down = True

    def _start(self, actor_class: Any, arguments: tuple[Any, ...]) -> Any:
        process = _Process(self, actor_class(*arguments))
        self.processes.append(process)
        return process


class _Process:
    def __init__(self, ray: PlayedRay, actor: Any):
        self._ray, self._actor = ray, actor

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> Any:
            number = len(self._ray.calls)
            if method != "ready":
                self._ray.calls.append((self, method))

            def run() -> Any:
                assert self not in self._ray.killed
                if method != "ready" and number in self._ray.deaths:
                    raise ActorDiedError
                try:
                    return getattr(self._actor, method)(*arguments)
                except Exception as error:
                    raise RayTaskError(method, "a traceback of\nmany lines", error).as_instanceof_cause() from None

            run.process = self
            return run

        return SimpleNamespace(remote=call)
