"""A trial that trains nothing: what it times, what it leaves, and that no other trial is needed for it."""

import math
from statistics import median, quantiles

import pytest
import torch

from foresight.config import TrialConfig
from foresight.metrics import METRICS
from foresight.runlog import check_row, config_columns
from foresight.train import pipeline_pass
from foresight.train.component_latency import ComponentLatency
from foresight.train.pipeline_pass import COMPONENTS, compute_latency_ms, compute_overhead
from foresight.train.size import measure_size
from foresight.train.task import Context, TrialResult
from foresight.train.trial import MEASUREMENTS, TASKS, run_trial

IDENTITY = {"key": "k", "sweep": "s", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
LATENCY_METRICS = {name for name in METRICS if name.startswith("latency_")}


def small(**fields) -> TrialConfig:
    """Four repeats of a small pipeline; `timing__batch_size=2` is its field `timing.batch_size`."""
    changes = {name.replace("__", "."): value for name, value in fields.items()}
    shape = {"data.image_px": 56, "fusion.layers": 1, "fusion.queries": 16}
    short = {"timing.n_warmup": 1, "timing.n_repeats": 4}
    return TrialConfig().with_fields({"task": "latency", **shape, **short, **changes})


def finish(config: TrialConfig, context: Context) -> TrialResult:
    """What the trial returns; it yields no epoch."""
    with pytest.raises(StopIteration) as end:
        next(run_trial(config, None, context))
    return end.value.value


@pytest.fixture(scope="module")
def context() -> Context:
    return Context("cpu")


@pytest.fixture(scope="module")
def result(context) -> TrialResult:
    return finish(small(), context)


@pytest.mark.parametrize(
    ("streams", "total", "overhead"),
    [("both", 100.0, 0.25), ("vlm", 85.0, 0.0625), ("dinov2", 40.0, -0.5)],  # of VLM and decoder, 80 ms
)
def test_latency_and_overhead_by_hand(streams, total, overhead):
    ms = {"vlm": 60.0, "dinov2": 15.0, "fusion": 5.0, "decoder": 20.0}
    assert compute_latency_ms(ms, streams) == total
    assert compute_overhead(ms, streams) == pytest.approx(overhead)


def test_the_published_overhead_comes_out_of_the_published_times():
    ms = {"dinov2": 20.455, "vlm": 71.997, "fusion": 2.701, "decoder": 0.606}
    assert compute_latency_ms(ms) == pytest.approx(95.759)
    assert compute_overhead(ms) == pytest.approx(0.31894, abs=1e-5)


def test_the_trial_leaves_a_row_that_the_run_log_accepts_and_every_declared_metric(result):
    check_row(IDENTITY | config_columns(small().flat()) | result.columns)
    assert {name for name in result.columns if name.startswith("test/")} == {f"test/{name}" for name in LATENCY_METRICS}
    assert all(math.isfinite(result.columns[f"test/{name}"]) for name in LATENCY_METRICS)
    assert result.columns["env/metric_ids"].split() == [METRICS[name].id for name in result.samples.columns[3:]]
    assert result.epochs == []
    assert result.weights == {}


def test_there_is_a_row_for_each_repeat_and_medians_and_quartiles_are_theirs(result):
    samples, columns = result.samples, result.columns
    assert samples["sample_hash"].tolist() == ["repeat-000", "repeat-001", "repeat-002", "repeat-003"]
    assert (columns["latency/n_repeats"], columns["data/n_test"], columns["data/items"]) == (4, 4, "timed repeats")
    for name in LATENCY_METRICS:
        values = samples[name].tolist()
        assert columns[f"test/{name}"] == median(values)
        q25, _, q75 = quantiles(values, n=4)
        spread = name.removeprefix("latency_")
        assert (columns[f"latency/{spread}_q25"], columns[f"latency/{spread}_q75"]) == (q25, q75)
    total = sum(samples[f"latency_{name}_ms"] for name in COMPONENTS)
    assert samples["latency_ms"].tolist() == pytest.approx(total.tolist())
    assert (samples[[f"latency_{name}_ms" for name in COMPONENTS]] > 0).all(axis=None)


def test_sizes_are_those_of_a_reconstruction_with_the_same_bridge(result):
    config = small()
    trained = config.with_fields({"task": "reconstruction", "timing.n_warmup": 5, "timing.n_repeats": 30})
    sizes = measure_size(trained)
    assert measure_size(config) == sizes
    for name in ("params_trained", "params_decoder", "flops"):
        assert result.columns[f"cost/{name}"] == sizes[name]
    assert result.columns["cost/params_total"] > sizes["params_trained"] + sizes["params_decoder"]
    assert result.columns["cost/peak_memory_mb"] is None  # a CPU does not tell


def test_warm_up_is_not_counted_and_components_run_in_order(monkeypatch, context):
    ran: list[str] = []

    def timed(run, device):
        ran.append(run)
        return run(), float(len(ran))

    monkeypatch.setattr(pipeline_pass, "timed", timed)
    samples = finish(small(timing__n_warmup=2), context).samples
    assert len(ran) == 4 * (2 + 4)
    times = samples[[f"latency_{name}_ms" for name in COMPONENTS]].to_numpy().flatten().tolist()
    assert times == list(range(9, 25))  # the first eight were the two passes of the warm-up


def test_a_batch_passes_every_component_at_once(monkeypatch, context):
    shapes = {}

    def timed(run, device):
        output = run()
        shapes[len(shapes)] = output[0].shape if isinstance(output, tuple) else output.shape
        return output, 1.0

    monkeypatch.setattr(pipeline_pass, "timed", timed)
    finish(small(timing__batch_size=3), context)
    assert {shape[0] for shape in shapes.values()} == {3}
    assert tuple(shapes[2]) == (3, 16, 32)  # conditioning tokens
    assert tuple(shapes[3]) == (3, 3, 32, 32)  # a picture


def test_half_precision_halves_the_weights_and_computes_in_it(monkeypatch, context, result):
    dtypes = []

    def timed(run, device):
        output = run()
        dtypes.append(output[0].dtype if isinstance(output, tuple) else output.dtype)
        return output, 1.0

    monkeypatch.setattr(pipeline_pass, "timed", timed)
    half = finish(small(timing__precision="bf16"), context)
    for name in COMPONENTS:
        column = f"latency/{name}_weights_mb"
        assert half.columns[column] == pytest.approx(
            result.columns[column] / 2, rel=0.02
        )  # index buffers keep their size
    assert dtypes[2::4] == [torch.bfloat16] * 5  # what the fusion hands on, in each of the five passes


@pytest.mark.parametrize(("layer", "n_blocks"), [("8", 1), ("final", 4)])
def test_an_early_layer_computes_no_later_ones_and_leaves_the_model_whole(context, result, layer, n_blocks):
    (vlm,) = (model for name, model in context.encoders.items() if name.startswith("vlm") and "float32" in name)
    ran = set()
    handles = [
        block.register_forward_hook(lambda *_, number=number: ran.add(number))
        for number, block in enumerate(vlm.language_model.layers)
    ]
    early = finish(small(vlm__layer=layer), context)
    for handle in handles:
        handle.remove()
    assert ran == set(range(n_blocks))
    assert len(vlm.language_model.layers) == 4
    is_smaller = early.columns["latency/vlm_weights_mb"] < result.columns["latency/vlm_weights_mb"]
    assert is_smaller == (n_blocks < 4)


def test_encoders_are_loaded_once_a_process(monkeypatch):
    built = []
    build = pipeline_pass.build_dinov2
    monkeypatch.setattr(
        pipeline_pass, "build_dinov2", lambda config, *a: built.append(config.size) or build(config, *a)
    )
    context = Context("cpu")
    for size in ("B", "L", "B"):
        finish(small(dinov2__size=size), context)
    assert built == ["B", "L"]


def test_the_tables_hold_every_task_of_the_config_and_know_which_are_trained():
    tasks = TrialConfig.model_fields["task"].annotation.__args__
    assert set(TASKS) | set(MEASUREMENTS) == set(tasks)
    assert not set(TASKS) & set(MEASUREMENTS)
    # model_construct does not check, so that a task need not be given all that it reads.
    assert {task for task in tasks if not TrialConfig.model_construct(task=task).is_trained} == set(MEASUREMENTS)
    assert MEASUREMENTS["latency"] is ComponentLatency
