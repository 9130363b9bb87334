"""What a command does with an error that a Ray task comes back with; Ray itself is played here."""

from types import SimpleNamespace

import pytest
import small_study
from ray import exceptions
from ray.exceptions import RayTaskError
from typer.testing import CliRunner, Result

from foresight.errors import RunEndedError, StorageError
from foresight.runlog import RunLog
from foresight.train.sensitivity import InertFactorError
from foresight.tuning.execute import _ended_in_a_sentence
from foresight.tuning.launch import build_app


class PlayedRay:
    """Every task comes back with one error, as Ray hands it over."""

    exceptions = exceptions

    def __init__(self, error: Exception):
        self.error = error
        self.is_shut_down = False

    def remote(self, **options):
        return lambda function: SimpleNamespace(remote=lambda *arguments: function.__name__)

    def get(self, task):
        raise RayTaskError(task, "a traceback of\nmany lines", self.error).as_instanceof_cause()

    def shutdown(self):
        self.is_shut_down = True


@pytest.fixture
def run_with(tmp_path, monkeypatch):
    """Runs the small study with a played Ray."""

    def run(ray: PlayedRay) -> Result:
        monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("foresight.tuning.ray_runtime.start_ray", lambda slots: ray)
        monkeypatch.setattr("foresight.tuning.ray_runtime.signal.signal", lambda *a: None)
        arguments = ["--scale", "tiny", "--runs", str(tmp_path / "runs")]
        return CliRunner().invoke(build_app(small_study.SWEEP), arguments)

    return run


def test_a_factor_that_changes_nothing_ends_with_code_2_and_one_sentence(run_with, tmp_path):
    ray = PlayedRay(InertFactorError("fusion.layers=2 gives the baseline's output"))
    result = run_with(ray)
    assert result.exit_code == 2
    assert result.stderr == "error: fusion.layers=2 gives the baseline's output\n"
    assert ray.is_shut_down
    assert RunLog(tmp_path / "runs" / "small_study").statuses() == {}


def test_any_other_error_of_a_task_is_not_hidden(run_with):
    ray = PlayedRay(ZeroDivisionError("our own mistake"))
    result = run_with(ray)
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.exit_code == 1
    assert ray.is_shut_down


def test_a_machine_that_cannot_go_on_ends_with_code_1_and_one_sentence(run_with):
    ray = PlayedRay(RunEndedError("the disk is full"))
    result = run_with(ray)
    assert result.exit_code == 1
    assert result.stderr == "error: the disk is full\n"
    assert ray.is_shut_down


def test_an_interrupt_shuts_ray_down_and_ends_with_130(run_with, monkeypatch):
    ray = PlayedRay(ZeroDivisionError())

    def interrupted(task):
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "get", interrupted)
    result = run_with(ray)
    assert result.exit_code == 130
    assert "interrupted; every finished trial is kept" in result.stdout
    assert ray.is_shut_down


# --- what Tune makes of an error -------------------------------------------------------------------------------------


def buried(error: BaseException) -> RuntimeError:
    """An error below Tune's own, as `fit` raises it: only the context leads there."""
    try:
        try:
            raise error
        except type(error):
            raise RuntimeError("Traceback (most recent call last): ...")  # noqa: B904  Tune does not say `from`
    except RuntimeError as raised:
        return raised


def test_a_disk_that_tune_fills_ends_the_run_in_a_sentence():
    said = r"Ray Tune cannot write to .* \(No space left on device\)"
    with pytest.raises(RunEndedError, match=said), _ended_in_a_sentence(SimpleNamespace(ended=None)):
        raise buried(OSError(28, "No space left on device"))


def test_a_storage_that_is_away_in_a_callback_ends_the_run_in_a_sentence():
    said = "the object store fails: no answer; every finished trial is kept"
    with pytest.raises(RunEndedError, match=said), _ended_in_a_sentence(SimpleNamespace(ended=None)):
        raise buried(StorageError("the object store fails: no answer"))


def test_what_the_recorder_ended_is_said_in_its_words():
    recorder = SimpleNamespace(ended=RunEndedError("the row cannot be written"))
    with pytest.raises(RunEndedError, match="the row cannot be written"), _ended_in_a_sentence(recorder):
        raise buried(OSError(28, "No space left on device"))


def test_other_errors_below_tune_are_not_hidden():
    with pytest.raises(RuntimeError, match="Traceback"), _ended_in_a_sentence(SimpleNamespace(ended=None)):
        raise buried(ZeroDivisionError())
