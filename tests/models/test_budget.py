import pytest
import torch
from bridge_inputs import SHAPES, adapter_trial

from foresight.config import BUDGET_DIVISOR, AdapterConfig
from foresight.encoders.shapes import feature_shapes
from foresight.errors import RequestError
from foresight.models import budget
from foresight.models.adapter_layers import AdapterSize
from foresight.models.adapters import ADAPTERS, Adapter
from foresight.models.bridge import build_bridge
from foresight.models.budget import adapter_note, count_adapter, solve_size
from foresight.train.size import measure_size
from search_spaces import c2_architectures

BASELINES = {scale: c2_architectures.baseline(scale) for scale in ("tiny", "full")}
SCALED_SHAPES = {scale: feature_shapes(c) for scale, c in BASELINES.items()}

every_adapter = pytest.mark.parametrize("architecture", ADAPTERS)


def asked(architecture: str, scale: str, label_millions: int, **fields) -> AdapterConfig:
    n_params = label_millions * 1_000_000 // BUDGET_DIVISOR[scale]
    return BASELINES[scale].adapter.model_copy(
        update={"architecture": architecture, "budget_params": n_params, **fields}
    )


@every_adapter
@pytest.mark.parametrize("scale", ["tiny", "full"])
@pytest.mark.parametrize("label_millions", [5, 10, 20, 50, 100])
def test_every_budget_of_the_plan_is_met_within_a_hundredth(architecture, scale, label_millions):
    config, shapes = asked(architecture, scale, label_millions), SCALED_SHAPES[scale]
    size = solve_size(config, shapes)
    with torch.device("meta"):
        counted = sum(p.numel() for p in Adapter(config, size, shapes).parameters())
    assert counted == pytest.approx(config.budget_params, rel=0.01)
    assert size.width % size.n_heads == 0
    assert 4 <= size.hidden / size.width < 7  # the rest that the hidden channels take up is small


@every_adapter
@pytest.mark.parametrize("layers", [1, 4])
def test_a_budget_is_met_at_any_depth(architecture, layers):
    config = asked(architecture, "tiny", 10, layers=layers)
    assert count_adapter(config, solve_size(config, SHAPES), SHAPES) == pytest.approx(100_000, rel=0.01)


@every_adapter
def test_the_solved_module_is_the_one_that_trains(architecture):
    config = adapter_trial(architecture)
    bridge = build_bridge(config, SHAPES)
    n_adapter = sum(p.numel() for name, p in bridge.named_parameters() if not name.startswith("decoder."))
    assert n_adapter == pytest.approx(30_000, rel=0.01)
    assert n_adapter == count_adapter(config.adapter, solve_size(config.adapter, SHAPES), SHAPES)


@every_adapter
def test_the_plan_measures_the_adapter_without_its_decoder(architecture):
    config = BASELINES["tiny"].with_fields({"adapter.architecture": architecture})
    sizes = measure_size(config)
    assert sizes["params_trained"] == pytest.approx(100_000, rel=0.01)
    assert sizes["params_decoder"] == measure_size(BASELINES["tiny"])["params_decoder"] > 10_000
    assert sizes["flops"] > 1e6


@every_adapter
def test_a_budget_that_cannot_be_met_is_refused_with_the_nearest(architecture):
    config = asked(architecture, "full", 10, budget_params=30_000)
    with pytest.raises(RequestError) as caught:
        solve_size(config, SCALED_SHAPES["full"])
    least = count_adapter(config, AdapterSize(8, 32), SCALED_SHAPES["full"])
    assert least > 31_500
    assert str(caught.value) == (
        f"adapter '{architecture}' cannot have 30,000 parameters within 5%: the nearest it can have is {least:,}, at width 8"
    )


@pytest.mark.parametrize(("off", "is_refused"), [(0.04, False), (0.06, True)])
def test_the_allowance_is_five_hundredths(off, is_refused):
    # Below its smallest size an adapter stays at it, so a budget can be any share of that.
    least = count_adapter(asked("query", "tiny", 10), AdapterSize(8, 32), SHAPES)
    config = asked("query", "tiny", 10, budget_params=round(least / (1 + off)))
    if is_refused:
        with pytest.raises(RequestError, match="within 5%"):
            solve_size(config, SHAPES)
    else:
        assert solve_size(config, SHAPES) == AdapterSize(8, 32)


@every_adapter
def test_the_solution_is_the_same_however_often_it_is_asked_for(architecture):
    config = asked(architecture, "tiny", 20)
    first = solve_size(config, SHAPES)
    budget._solve.cache_clear()
    budget._count.cache_clear()
    assert solve_size(config, SHAPES) == first


def test_dropout_does_not_build_the_modules_again(monkeypatch):
    solve_size(asked("moe", "tiny", 10), SHAPES)
    monkeypatch.setattr(budget, "Adapter", None)
    solve_size(asked("moe", "tiny", 10, dropout=0.3), SHAPES)


def test_a_note_says_label_count_and_width():
    tiny, full = (adapter_note(BASELINES[s].adapter, SCALED_SHAPES[s], s) for s in ("tiny", "full"))
    assert tiny == "10M / 100: 99,984 at width 52"
    assert full == "10M: 10,000,356 at width 436"
