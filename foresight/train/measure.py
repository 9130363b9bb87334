"""Measuring pictures and masks on a split: one row per sample, whoever predicts them.

A sample is a picture or a clip; a clip's value is the mean over its frames.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from foresight.features.stage import StagedSplit
from foresight.metrics.baselines import TRIVIAL_PREDICTORS
from foresight.metrics.evaluate import compute_image_metrics
from foresight.metrics.lpips import Lpips
from foresight.metrics.reconstruction import fill_padding
from foresight.metrics.semantic import SemanticEncoder
from foresight.metrics.temporal import LEAST_FRAMES, compute_temporal_variance, temporal_name
from foresight.train.pictures import N_EXAMPLES, picture_strip
from foresight.train.precision import autocast

# Rows of a split -> pictures [B, 3, H, W] in [0, 1] and mask probabilities [B, H, W], or None from what draws no mask.
Predict = Callable[[Tensor], tuple[Tensor, Tensor | None]]
IDENTITY_COLUMNS = ("sample_hash", "split", "scene")


def predict_with(bridge: nn.Module, split: StagedSplit, device: str, precision: str) -> Predict:
    """What a trained bridge predicts for rows of a split."""

    @torch.no_grad()
    def predict(index: Tensor) -> tuple[Tensor, Tensor]:
        bridge.eval()
        with autocast(device, precision):
            picture, mask_logits = bridge(split.features[index])
        return picture.float(), mask_logits.float().sigmoid()

    return predict


@torch.no_grad()
def measure_split(
    predict: Predict,
    split: StagedSplit,
    name: str,
    lpips: Lpips,
    batch_size: int,
    semantic: SemanticEncoder | None = None,
    image_px: int = 0,
) -> pd.DataFrame:
    """IDENTITY_COLUMNS and every metric that the split and the prediction allow: of masks with annotation, over time with clips.

    `semantic` measures at `image_px`, the side of what encoders see.
    """
    columns: dict[str, list[np.ndarray]] = {}
    for index in sample_batches(split, batch_size):
        picture, mask_prob = predict(index)
        target, content = split.targets_N3HW[index].float() / 255, split.content_NHW[index]
        masks, boxes = split.masks_NHW[index], split.boxes_xyxy_N4[index]
        metrics = compute_image_metrics(picture, mask_prob, target, masks, boxes, content, lpips, split.plain_ground)
        inside = fill_padding(picture, target, content)
        if semantic is not None:
            metrics[semantic.name] = semantic(inside, target, content, image_px)
        per_sample = {name: mean_over_frames(values, split.n_frames) for name, values in metrics.items()}
        if split.n_frames >= LEAST_FRAMES:
            per_sample[temporal_name(lpips)] = compute_temporal_variance(inside, split.n_frames, lpips)
        for metric, values in per_sample.items():
            columns.setdefault(metric, []).append(values.cpu().numpy())
    samples = pd.DataFrame({metric: np.concatenate(values) for metric, values in columns.items()})
    for place, (column, values) in enumerate(
        zip(IDENTITY_COLUMNS, (split.sample_hash, name, split.scene), strict=True)
    ):
        samples.insert(place, column, values)
    return samples


def sample_batches(split: StagedSplit, batch_size: int) -> Iterator[Tensor]:
    """Rows of about `batch_size` pictures at a time, never part of a clip."""
    whole = max(1, batch_size // split.n_frames) * split.n_frames
    yield from torch.arange(len(split), device=split.targets_N3HW.device).split(whole)


def mean_over_frames(values_B: Tensor, n_frames: int) -> Tensor:
    """One value per sample; frames for which a metric is not defined (nan) do not count."""
    return values_B if n_frames == 1 else values_B.unflatten(0, (-1, n_frames)).nanmean(dim=1)


def metric_means(samples: pd.DataFrame) -> dict[str, float]:
    """{metric: mean over samples}."""
    return {str(name): float(samples[name].mean()) for name in samples if name not in IDENTITY_COLUMNS}


def score_trivial_predictors(
    train: StagedSplit,
    split: StagedSplit,
    lpips: Lpips,
    batch_size: int,
    semantic: SemanticEncoder | None = None,
    image_px: int = 0,
) -> dict[str, float]:
    """`<predictor>/<metric>`: predictors that ignore the input, fitted on `train` and scored on `split`."""
    targets, scores = train.targets_N3HW.float() / 255, {}
    for name, fit in TRIVIAL_PREDICTORS.items():
        prediction = fit(targets, train.masks_NHW)
        if prediction is None:
            continue
        picture, mask_prob = prediction.picture_3HW, prediction.mask_prob_HW

        def predict(index: Tensor, picture: Tensor = picture, mask_prob: Tensor = mask_prob) -> tuple[Tensor, Tensor]:
            return picture.expand(len(index), -1, -1, -1), mask_prob.expand(len(index), -1, -1)

        samples = measure_split(predict, split, "trivial", lpips, batch_size, semantic, image_px)
        scores |= {f"{name}/{metric}": value for metric, value in metric_means(samples).items()}
    return scores


def draw_examples(predict: Predict, split: StagedSplit) -> bytes:
    """PNG of the first pictures: target, reconstruction and, where there is annotation and a mask was predicted, both masks."""
    return draw_rows(predict, split, torch.arange(min(N_EXAMPLES, len(split)), device=split.targets_N3HW.device))


def draw_rows(predict: Predict, split: StagedSplit, index: Tensor) -> bytes:
    """As `draw_examples`, for any rows of the split, one column for each."""
    picture, mask_prob = predict(index)
    target, content = split.targets_N3HW[index].float() / 255, split.content_NHW[index]
    rows, names = [target, fill_padding(picture, target, content)], ["target", "reconstruction"]
    if split.has_masks and mask_prob is not None:
        names += ["true mask", "predicted mask"]
        masks = (split.masks_NHW[index] & content, mask_prob * content)
        rows += [mask.float()[:, None].expand(-1, 3, -1, -1) for mask in masks]
    return picture_strip(rows, caption=f"Rows: {', '.join(names)}.")


def draw_reconstructions(predict: Predict, split: StagedSplit) -> bytes:
    """PNG of the first pictures as they are: a row of targets over a row of reconstructions, for figures across arms."""
    index = torch.arange(min(N_EXAMPLES, len(split)), device=split.targets_N3HW.device)
    target = split.targets_N3HW[index].float() / 255
    inside = fill_padding(predict(index)[0], target, split.content_NHW[index])
    return picture_strip([target, inside], least_px=0, caption="Rows: target, reconstruction.")


@dataclass
class Worst:
    """The samples that a model did worst: a rank for each sample, 1 the worst and 0 for those not shown; the picture."""

    rank: np.ndarray
    png: bytes


def draw_worst(predict: Predict, split: StagedSplit, samples: pd.DataFrame, metric: str) -> Worst:
    """The N_EXAMPLES samples of lowest `metric`, as `draw_examples`, the worst first; of a clip its first frame."""
    order = np.argsort(samples[metric].to_numpy(), kind="stable")[:N_EXAMPLES]
    rank = np.zeros(len(samples), dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    rows = torch.from_numpy(order * split.n_frames).to(split.targets_N3HW.device)
    return Worst(rank, draw_rows(predict, split, rows))
