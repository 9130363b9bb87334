"""The training loop: a generator that yields one plain row per epoch and knows nothing of Ray, Parquet or Optuna.

Axes: B batch, H W pixels.
"""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from foresight.config import TrainConfig
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.spatial import compute_mask_iou
from foresight.models.bridge import Bridge
from foresight.seeding import keyed_seed, seeded_generator

EVAL_BATCH = 64


class DivergedError(RuntimeError):
    """The loss stopped being a number. The trial has failed; the sweep goes on."""


def learning_rate_factor(step: int, n_steps: int, warmup_frac: float) -> float:
    """Linear from 0 to 1 over the warm-up, then a cosine to 0."""
    n_warmup = warmup_frac * n_steps
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (n_steps - n_warmup)))


def autocast(device: str, precision: str) -> AbstractContextManager[object]:
    """Half-precision forward passes where the config asks for them."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def compute_losses(
    picture_B3HW: Tensor, mask_logits_BHW: Tensor, target_B3HW: Tensor, mask_BHW: Tensor, content_BHW: Tensor
) -> dict[str, Tensor]:
    """Scalars `mse`, `l1` and `mask_bce`, averaged over the pixels inside the pictures. Targets are in [0, 1]."""
    inside_BHW = content_BHW.float()
    n_inside = inside_BHW.sum()
    difference = (picture_B3HW.float() - target_B3HW) * inside_BHW[:, None]
    bce_BHW = F.binary_cross_entropy_with_logits(mask_logits_BHW.float(), mask_BHW.float(), reduction="none")
    return {
        "mse": difference.square().sum() / (3 * n_inside),
        "l1": difference.abs().sum() / (3 * n_inside),
        "mask_bce": (bce_BHW * inside_BHW).sum() / n_inside,
    }


def weighted_loss(losses: dict[str, Tensor], config: TrainConfig) -> Tensor:
    """What is minimised: `mse + l1_weight l1 + mask_weight mask_bce`."""
    return losses["mse"] + config.l1_weight * losses["l1"] + config.mask_weight * losses["mask_bce"]


def batch_losses(bridge: Bridge, split: StagedSplit, index: Tensor) -> dict[str, Tensor]:
    """The losses of one batch of a staged split."""
    picture, mask_logits = bridge(split.features[index])
    target = split.targets_N3HW[index].float() / 255
    return compute_losses(picture, mask_logits, target, split.masks_NHW[index], split.content_NHW[index])


def train(bridge: Bridge, data: StagedData, config: TrainConfig, seed: int, device: str) -> Iterator[dict[str, float]]:
    """Trains in place. Yields `epoch, step, wall_s, train/*, val/*` after every epoch, epochs counted from 1.

    Data order and dropout are drawn from the block's seed, so all arms of a block see the same batches.
    Raises DivergedError, naming the steps between which the loss stopped being finite.
    """
    torch.manual_seed(keyed_seed(seed, "dropout"))
    optimiser = torch.optim.AdamW(bridge.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    n_train = len(data.train)
    n_steps = config.epochs * math.ceil(n_train / config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(step, n_steps, config.warmup_frac)
    )
    step, started = 0, time.perf_counter()
    for epoch in range(1, config.epochs + 1):
        bridge.train()
        order = torch.randperm(n_train, generator=seeded_generator(seed, "order", f"epoch {epoch}"))
        totals: dict[str, Tensor] = {}
        first_step = step
        for index in order.split(config.batch_size):
            with autocast(device, config.precision):
                losses = batch_losses(bridge, data.train, index.to(device))
                loss = weighted_loss(losses, config)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(bridge.parameters(), config.grad_clip)
            optimiser.step()
            schedule.step()
            step += 1
            # Sums stay tensors: reading a number every step would stall a GPU.
            for name, value in {"loss": loss, **losses}.items():
                totals[name] = totals.get(name, torch.zeros((), device=device)) + value.detach() * len(index)
        row = {f"train/{name}": (total / n_train).item() for name, total in totals.items()}
        row |= {f"val/{name}": value for name, value in validate(bridge, data.val, config, device).items()}
        for loss_name in ("train/loss", "val/loss"):  # what an epoch's last step broke shows in the second alone
            if not math.isfinite(row[loss_name]):
                raise DivergedError(f"the loss became {row[loss_name]} between steps {first_step + 1} and {step}")
        paused = time.perf_counter()
        yield {"epoch": epoch, "step": step, "wall_s": paused - started, **row}
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not training


@torch.no_grad()
def validate(bridge: Bridge, split: StagedSplit, config: TrainConfig, device: str) -> dict[str, float]:
    """Losses and mask IoU on the validation split, for the learning curve."""
    bridge.eval()
    totals: dict[str, Tensor] = {}
    for index in torch.arange(len(split), device=device).split(EVAL_BATCH):
        with autocast(device, config.precision):
            picture, mask_logits = bridge(split.features[index])
        target, mask, content = (
            split.targets_N3HW[index].float() / 255,
            split.masks_NHW[index],
            split.content_NHW[index],
        )
        losses = compute_losses(picture, mask_logits, target, mask, content)
        losses |= {
            "loss": weighted_loss(losses, config),
            "mask_iou": compute_mask_iou(mask_logits.sigmoid(), mask, content).mean(),
        }
        for name, value in losses.items():
            totals[name] = totals.get(name, torch.zeros((), device=device)) + value * len(index)
    return {name: (total / len(split)).item() for name, total in totals.items()}
