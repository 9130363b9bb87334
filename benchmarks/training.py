"""Training time of one trial: this project's loop, and the loop that most people would write."""

import multiprocessing
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.work import load_data
from foresight.config import TrialConfig
from search_spaces.p2_ablations import baseline

REPEATS = 3


def measure_training(scratch: Path) -> list[tuple[str, float, float]]:
    """(name, seconds alone, seconds with two at once as in a sweep) of each loop, ours first."""
    config = baseline("tiny")
    load_data(config, scratch / "cache")
    return [
        (name, _run(loop, scratch, n_processes=1), _run(loop, scratch, n_processes=2))
        for name, loop in (("foresight", train_ours), ("plain PyTorch", train_plainly))
    ]


def _run(loop: Any, scratch: Path, n_processes: int) -> float:
    """Median seconds of a trial over repeats and processes that run at the same time."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(n_processes) as pool:
        jobs = [(loop, scratch / "cache") for _ in range(n_processes)]
        return median(seconds for times in pool.starmap(_timed, jobs, chunksize=1) for seconds in times)


def _timed(loop: Any, cache: Path) -> list[float]:
    config = baseline("tiny")
    data = load_data(config, cache)
    times = []
    for repeat in range(REPEATS + 1):  # the first one warms up
        started = time.perf_counter()
        loop(config, data)
        if repeat:
            times.append(time.perf_counter() - started)
    return times


def train_ours(config: TrialConfig, data: Any) -> None:
    """One thread, staged tensors, fused AdamW; with its validation after every epoch."""
    import torch

    from foresight.train.loop import train
    from foresight.train.reconstruction import Reconstruction
    from foresight.train.task import Context
    from foresight.train.trial import shapes_of

    torch.set_num_threads(1)
    task = Reconstruction(config, Context("cpu"))
    for _ in train(task, task.build(shapes_of(data)), data):
        pass


def train_plainly(config: TrialConfig, data: Any) -> None:
    """A DataLoader over the same features, default AdamW, default threads, `.item()` for the log; same validation."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    from foresight.features.stage import StagedSplit
    from foresight.models.bridge import Features, build_bridge
    from foresight.train.losses import Prediction, compute_losses
    from foresight.train.schedules import Length, warmup_cosine
    from foresight.train.trial import shapes_of

    class Images(Dataset):
        def __init__(self, split: StagedSplit):
            self.split = split

        def __len__(self) -> int:
            return len(self.split)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, ...]:
            s = self.split
            vlm, spatial = s.features.vlm_BVC[i].float(), s.features.spatial_BSC[i].float()
            return vlm, spatial, s.targets_N3HW[i].float() / 255, s.masks_NHW[i], s.content_NHW[i]

    def loss_of(batch: list[torch.Tensor]) -> torch.Tensor:
        vlm, spatial, target, mask, content = batch
        picture, mask_logits = bridge(Features(vlm, None, spatial, None))
        return compute_losses(Prediction(picture, mask_logits, target, mask, content), config.loss)["loss"]

    bridge = build_bridge(config, shapes_of(data))
    optimiser = torch.optim.AdamW(bridge.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay)
    loader = DataLoader(Images(data.train), batch_size=config.train.batch_size, shuffle=True)
    val_loader = DataLoader(Images(data.val), batch_size=64)
    length = Length(config.train.epochs * len(loader), len(loader))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warmup_cosine(step, length, config.train))
    for _ in range(config.train.epochs):
        bridge.train()
        total = 0.0
        for batch in loader:
            loss = loss_of(batch)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(bridge.parameters(), config.train.grad_clip)
            optimiser.step()
            schedule.step()
            total += loss.item()
        bridge.eval()
        with torch.no_grad():
            sum(loss_of(batch).item() for batch in val_loader)
