import io

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import fill, small_detector

from foresight.errors import RequestError
from foresight.features.stage import StagedData, StagedObjects, stage
from foresight.features.store import ArrayStore
from foresight.metrics import METRICS
from foresight.metrics.detection import ScoredBoxes, compute_map
from foresight.train import detection
from foresight.train.box_pictures import box_strip, class_colour
from foresight.train.detection import Detection
from foresight.train.loop import train
from foresight.train.size import measure_size
from foresight.train.task import Context
from foresight.train.trial import probe_gradients, run_trial, shapes_of

VARIANTS = [
    {"box_encoding": "softplus"},
    {"box_encoding": "log", "encoder_layers": 0},
    {"class_loss": "focal", "denoising": True},
    {"reference_points": "learned", "decoder_layers": 1},
    {"auxiliary_loss": False},
    {"denoising": True, "reference_points": "learned"},
]
METRIC_NAMES = {"map", "map_50", "map_75", "recall_50", "matched_iou"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> ArrayStore:
    return fill(ArrayStore(tmp_path_factory.mktemp("scenes")), small_detector(), small_detector(streams="both"))


@pytest.fixture
def data(scenes) -> StagedData:
    return stage(small_detector(), scenes, "cpu")


def task_of(**fields) -> Detection:
    return Detection(small_detector(**{f"detector__{name}": value for name, value in fields.items()}), Context("cpu"))


def finish(config, data, lpips):
    """(the rows that a trial yields, what it returns)"""
    running, rows = run_trial(config, data, Context("cpu", lpips)), []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            return rows, end.value


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_reaches_every_parameter_and_counts_what_was_planned(variant, data):
    task = task_of(**variant)
    model = task.build(shapes_of(data))
    assert probe_gradients(task, model, data) == {name for name, _ in model.named_parameters()}
    planned = measure_size(task.config)
    assert planned["params_trained"] == sum(p.numel() for p in model.parameters())
    assert planned["flops"] == task.count_flops(model, data.test.features[:1]) > 0


def test_a_detector_learns_eight_images_by_heart(data):
    config = small_detector(train__epochs=90, train__batch_size=8, train__lr=5e-3, data__n_val=3)
    task = Detection(config, Context("cpu"))
    model = task.build(shapes_of(data))
    data.val.objects, data.val.features = data.train.objects[:3], data.train.features[:3]
    rows = list(train(task, model, data))
    assert rows[0]["train/loss"] > 3 * rows[-1]["train/loss"]
    assert rows[-1]["val/map_50"] > 0.9


def test_a_trial_leaves_its_metrics_and_a_sample_of_every_image(data, lpips):
    rows, result = finish(small_detector(), data, lpips)
    assert {name for name in result.columns if name.startswith("test/")} == {f"test/{name}" for name in METRIC_NAMES}
    assert {name for name in result.columns if name.startswith("baseline/")} == {
        f"baseline/mean_boxes/{name}" for name in METRIC_NAMES
    }
    assert result.columns["env/metric_ids"].split() == [METRICS[name.split("/")[0]].id for name in (
        "matched_iou", "recall_50", "map", "map_50", "map_75")]  # fmt: skip
    assert set(rows[0]) == {"epoch", "step", "wall_s"} | {
        f"{split}/{name}" for split in ("train", "val") for name in ("loss", "class", "l1", "giou")
    } | {f"val/{name}" for name in ("map", "map_50", "map_75")}
    assert list(result.samples["sample_hash"]) == list(data.test.sample_hash)
    for name in ("recall_50", "matched_iou"):
        assert result.columns[f"test/{name}"] == pytest.approx(result.samples[name].mean())


def test_the_same_trial_gives_the_same_numbers_whatever_ran_before(data, lpips):
    config = small_detector(detector__denoising=True, detector__dropout=0.1)
    first = finish(config, data, lpips)[1]
    finish(small_detector(seed=4), data, lpips)
    again = finish(config, data, lpips)[1]
    timed = {name for name in first.columns if name.endswith("_s")}
    assert {n: v for n, v in first.columns.items() if n not in timed} == {
        n: v for n, v in again.columns.items() if n not in timed
    }
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


def test_evaluation_is_the_same_in_batches_of_any_size_and_sees_no_true_object(data, monkeypatch):
    task = task_of(denoising=True)
    model = task.build(shapes_of(data))
    whole = task.predict(model, data.test)
    assert whole.boxes_cxcywh_LBQ4.shape == (1, 5, 6, 4)  # no noised queries
    values = task.validate(model, data.test)
    monkeypatch.setattr(detection, "EVAL_BATCH", 2)
    data.test.objects.boxes_xyxy_NK4 = data.test.objects.boxes_xyxy_NK4.flip(0)
    parts = task.predict(model, data.test)
    assert torch.allclose(parts.boxes_cxcywh_LBQ4, whole.boxes_cxcywh_LBQ4, atol=1e-5)
    data.test.objects.boxes_xyxy_NK4 = data.test.objects.boxes_xyxy_NK4.flip(0)
    assert task.validate(model, data.test) == pytest.approx(values, rel=1e-4)
    assert "denoising" not in values


def test_denoising_acts_in_training_with_noise_of_its_own_in_every_step(data):
    task = task_of(denoising=True)
    model, index = task.build(shapes_of(data)).eval(), torch.arange(4)
    early, again, late = (task.losses(model, data.train, index, done_frac) for done_frac in (0.0, 0.0, 0.5))
    assert early["denoising"] == again["denoising"] != late["denoising"]
    assert early["class"] == late["class"]


@pytest.mark.parametrize("class_loss", ["cross_entropy", "focal"])
def test_parts_of_a_batch_have_the_loss_and_the_gradient_of_the_whole(data, class_loss):
    task = task_of(denoising=True, class_loss=class_loss)
    model, batch = task.build(shapes_of(data)).eval(), torch.tensor([5, 0, 3, 6, 1])

    def gradient() -> torch.Tensor:
        found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
        return found

    objects = task.objects_of(data.train)
    assert len(set(objects[batch].is_object.sum(dim=1).tolist())) > 1  # so that a mean over parts would be another
    whole = task.losses(model, data.train, batch, 0.3)
    whole["loss"].backward()
    expected = gradient()
    parts = [(task.losses(model, data.train, part, 0.3, batch), len(part) / 5) for part in batch.split((3, 2))]
    for losses, share in parts:
        (losses["loss"] * share).backward()
    assert torch.allclose(gradient(), expected, rtol=1e-3, atol=1e-6)
    for name, value in whole.items():
        assert sum(losses[name].item() * share for losses, share in parts) == pytest.approx(value.item(), rel=1e-4)


def test_a_batch_without_any_object_has_a_loss(data):
    task = task_of(denoising=True)
    model = task.build(shapes_of(data))
    data.train.objects.classes_NK.fill_(-1)
    assert all(value.isfinite() for value in task.losses(model, data.train, torch.arange(3), 0.0).values())


def test_both_streams_have_a_say(scenes):
    config = small_detector(streams="both")
    both = stage(config, scenes, "cpu")
    task = Detection(config, Context("cpu"))
    model = task.build(shapes_of(both))
    plain = task.output(model, both.test)
    both.test.features.vlm_BVC.neg_()
    assert (task.output(model, both.test) - plain).abs().max() > 1e-3
    assert plain.shape == (5, 6, 12 + 4)


class Scripted(Detection):
    """Validation mAP is what the test says."""

    scores = (0.1, 0.4, 0.4, 0.2)

    def validate(self, model, split):
        self.seen = getattr(self, "seen", 0) + 1
        return super().validate(model, split) | {"map_50": self.scores[self.seen - 1]}


@pytest.mark.parametrize(("keep_best", "kept"), [(True, 3), (False, 4)])
def test_the_weights_of_the_best_epoch_are_kept_the_later_of_two_alike(keep_best, kept, data):
    task = Scripted(small_detector(train__epochs=4, detector__keep_best=keep_best), Context("cpu"))
    model = task.build(shapes_of(data))
    after = []
    for _ in train(task, model, data):
        after.append({name: value.clone() for name, value in model.state_dict().items()})
    ours = model.state_dict()
    same = [all(torch.equal(ours[name], weights[name]) for name in ours) for weights in after]
    assert same == [epoch == kept for epoch in range(1, 5)]


def test_the_validation_of_a_trial_is_that_of_the_epoch_it_keeps(data, lpips, monkeypatch):
    from foresight.train import trial

    monkeypatch.setitem(trial.TASKS, "detection", Scripted)
    rows, result = finish(small_detector(train__epochs=4, detector__keep_best=True), data, lpips)
    assert [row["val/map_50"] for row in rows] == [0.1, 0.4, 0.4, 0.2]
    assert result.columns["train/kept_epoch"] == 3
    assert result.columns["val/loss"] == rows[2]["val/loss"]
    assert result.columns["val/map_50"] == 0.4


def test_more_classes_than_the_detector_tells_apart_are_refused(data):
    objects = data.train.objects
    data.train.objects = StagedObjects(objects.boxes_xyxy_NK4, objects.classes_NK, tuple("abcdefghijklmnop"))
    task = task_of()
    with pytest.raises(RequestError, match="has 16 classes; a detector tells 12 apart"):
        probe_gradients(task, task.build(shapes_of(data)), data)


def test_the_score_of_a_query_is_that_of_its_best_class(data):
    task = task_of()
    detections = task.predict(task.build(shapes_of(data)), data.test)
    scored = task.scored(detections)
    probs = detections.class_logits_LBQC[0].softmax(-1)[..., :12]
    assert torch.equal(scored.scores_NQ, probs.amax(-1))
    assert torch.equal(scored.classes_NQ, probs.argmax(-1))
    assert 0 <= compute_map(scored, data.test.objects)["map"] <= 1


def test_pictures_show_true_boxes_above_and_sure_ones_below():
    objects = StagedObjects(torch.tensor([[[0.25, 0.25, 0.75, 0.75]]]), torch.tensor([[1]]), ("cat", "bus"))
    boxes = torch.tensor([[[0.5, 0.5, 0.9, 0.9], [0.1, 0.1, 0.4, 0.4]]])
    found = ScoredBoxes(boxes, torch.tensor([[0, 1]]), torch.tensor([[0.9, 0.4]]))
    image = Image.open(io.BytesIO(box_strip(torch.zeros(1, 3, 80, 80), objects, found)))
    assert "score above 0.5" in image.text["Caption"]
    strip = np.asarray(image)
    assert strip.shape == (320, 160, 3)
    true, predicted = strip[:160], strip[160:]
    assert tuple(true[100, 40]) == tuple(true[120, 80]) == class_colour(1)
    assert tuple(predicted[120, 80]) == tuple(predicted[144, 100]) == class_colour(0)
    assert (predicted[:75, :75] == 0).all()  # the unsure box
