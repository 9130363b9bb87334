"""A trial's process that Ray's memory monitor ends, as Tune hears of it. Without Ray."""

from types import SimpleNamespace

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError

from foresight.tuning.memory_kills import WANT_OF_MEMORY, taken_for_losses

KILLED = OutOfMemoryError(
    "Task was killed due to the node running low on memory.\nTop 10: python serve.py --token secret"
)


@pytest.fixture
def told() -> list[Exception]:
    return []


@pytest.fixture
def fail(told):
    """Has Tune's manager hear of an error of a trial's process; what the trial is told is in `told`."""
    actor = TrackedActor("a", on_error=lambda actor, error: told.append(error))
    manager = RayActorManager(resource_manager=SimpleNamespace())
    manager._live_actors_to_ray_actors_resources[actor] = (
        SimpleNamespace(_ray_actor_id=None),
        SimpleNamespace(free=None),
    )
    manager._cleanup_actor = lambda tracked_actor: None
    task = TrackedActorTask(tracked_actor=actor)
    return lambda error: manager._actor_task_failed(tracked_actor_task=task, exception=error)


def test_it_is_a_lost_process_and_says_nothing_of_other_programs(fail, told):
    with taken_for_losses():
        fail(KILLED)
    assert [(type(error), str(error)) for error in told] == [(RayActorError, WANT_OF_MEMORY)]


def test_tune_by_itself_would_end_the_run(fail, told):
    """The reason for all this: once it fails, `memory_kills` can go."""
    with taken_for_losses():
        pass
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        fail(KILLED)
    assert told == []
