"""What is imported when: a plan that counts models shall start soon, and no trial's time have an import in it."""

import subprocess
import sys

import pytest

from foresight.train.trial import OF_LOSSES_AND_METRICS, import_libraries

HEAVY = {"torchvision", "torchmetrics", "transformers", "diffusers", "timm", "lpips", "scipy", "pycocotools"}


def loaded_by(code: str) -> set[str]:
    said = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(said.stdout.split())


def test_counting_a_model_imports_torch_and_little_else():
    code = "from foresight.train.size import measure_size; from foresight.config import TrialConfig; "
    counted = "assert measure_size(TrialConfig())['params_trained'] > 0"
    assert HEAVY & loaded_by(code + counted) == set()


@pytest.mark.parametrize("name", ["run_trial", "help_train"])
def test_what_training_needs_is_there_before_its_time_begins(name, monkeypatch):
    from foresight.train import trial

    order = []
    monkeypatch.setattr(trial, "import_libraries", lambda: order.append("imports"))
    monkeypatch.setattr(trial, "build_task", lambda *_: order.append("build") or 1 / 0)
    monkeypatch.setattr(trial.time, "perf_counter", lambda: order.append("clock") or 0.0)
    with pytest.raises(ZeroDivisionError):
        started = getattr(trial, name)(
            trial.TrialConfig(), (), trial.Context("cpu"), *[None] * (2 * (name != "run_trial"))
        )
        next(started)
    assert order[0] == "imports"
    assert order[-1] == "build"


def test_all_that_is_imported_late_is_imported_before():
    import_libraries()
    assert set(OF_LOSSES_AND_METRICS) <= sys.modules.keys()
