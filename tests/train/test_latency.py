import pytest
from small_trials import small

from foresight.train import latency, pipeline_pass
from foresight.train.latency import Pipeline
from foresight.train.pipeline_pass import kept_vlm


@pytest.fixture
def few_repeats(monkeypatch):
    monkeypatch.setattr(latency, "N_WARMUP", 1)
    monkeypatch.setattr(latency, "N_REPEATS", 4)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline("cpu")


def test_every_part_of_the_pipeline_is_timed(few_repeats, pipeline):
    row = pipeline.measure(small())
    assert row["n_repeats"] == 4
    assert all(row[name] > 0 for name in ("latency_ms", "encoders_ms", "bridge_ms"))
    assert row["latency_q25_ms"] <= row["latency_ms"] <= row["latency_q75_ms"]


@pytest.mark.parametrize(
    ("layer", "n_blocks"), [("pre_merge", 0), ("post_merge", 0), ("8", 1), ("14", 2), ("final", 4)]
)
def test_an_early_layer_computes_no_later_ones(few_repeats, pipeline, layer, n_blocks):
    vlm = kept_vlm(small(), "cpu", pipeline.encoders)
    ran = set()
    handles = [
        block.register_forward_hook(lambda *_, number=number: ran.add(number))
        for number, block in enumerate(vlm.language_model.layers)
    ]
    try:
        pipeline.measure(small(vlm__layer=layer))
    finally:
        for handle in handles:
            handle.remove()
    assert ran == set(range(n_blocks))
    assert len(vlm.language_model.layers) == 4


@pytest.mark.parametrize(("layer", "n_blocks"), [("12", 1), ("final", 2)])
def test_an_early_layer_of_dinov2_computes_no_later_ones(few_repeats, pipeline, layer, n_blocks):
    pipeline.measure(small())
    dinov2 = pipeline.encoders["dinov2 random L 56 px torch.float32"]
    ran = set()
    handles = [
        block.register_forward_hook(lambda *_, number=number: ran.add(number))
        for number, block in enumerate(dinov2.blocks)
    ]
    try:
        pipeline.measure(small(dinov2__layer=layer))
    finally:
        for handle in handles:
            handle.remove()
    assert ran == set(range(n_blocks))


def test_a_measurement_that_fails_leaves_the_whole_model_behind(pipeline, monkeypatch):
    def fail(run, device):
        raise RuntimeError("interrupted")

    monkeypatch.setattr(pipeline_pass, "timed", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        pipeline.measure(small(vlm__layer="8"))
    vlm = kept_vlm(small(), "cpu", pipeline.encoders)
    assert len(vlm.language_model.layers) == 4


def test_encoders_are_built_once_and_each_size_of_its_own(few_repeats, monkeypatch):
    built = []
    build = pipeline_pass.build_dinov2
    monkeypatch.setattr(
        pipeline_pass, "build_dinov2", lambda config, *a: built.append(config.size) or build(config, *a)
    )
    pipeline = Pipeline("cpu")
    for size in ("B", "L", "B"):
        pipeline.measure(small(dinov2__size=size))
    assert built == ["B", "L"]
