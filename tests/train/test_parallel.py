"""Two processes that share a training, against one that has it alone."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from small_trials import fill, small, small_detector

from foresight.config import TrialConfig
from foresight.features.stage import stage
from foresight.features.store import ArrayStore
from foresight.train.checkpoint import Checkpoint
from foresight.train.loop import DivergedError, ToldToEndError, train
from foresight.train.parallel import LostPeerError, Ranks
from foresight.train.task import Context
from foresight.train.trial import build_task, shapes_of

pytestmark = pytest.mark.timeout(400)

UNEVEN = {"train__batch_size": 3, "train__epochs": 3, "train__lr": 1e-3}  # of eight images: 3, 3 and 2
PLAIN = "steps as long as the gradients"
CONFIGS = {
    "uneven batches": small(**UNEVEN),
    "a last batch of one image": small(**UNEVEN | {"train__batch_size": 7}),
    "accumulated batches": small(**UNEVEN, train__accumulate=2),
    "clipped gradients": small(**UNEVEN, train__grad_clip=1e-3),
    "to a criterion": small(
        train__schedule="plateau", train__patience=2, train__epochs=12, train__batch_size=8, train__lr=1e-3
    ),
    "half precision": small(**UNEVEN, train__precision="bf16"),
    "a detector, whose loss divides by the objects of a batch": small_detector(
        **UNEVEN, detector__denoising=True, detector__keep_best=True
    ),
    "dropout": small(**UNEVEN, fusion__dropout=0.3),
    PLAIN: small(**UNEVEN | {"train__lr": 0.1, "train__grad_clip": 1e6}),
}
DROPPED = "dropout"
STOPPED_AFTER = 2
LOST = "lost.txt"  # what the first process has to say when the second is gone


@dataclass
class Trained:
    """What one process had in the end."""

    rows: list[dict]
    weights: dict[str, torch.Tensor]


def run(config: TrialConfig, store: ArrayStore, ranks: Ranks, saved=None, until=None) -> Trained:
    data = stage(config, store, "cpu")
    task = build_task(config, Context("cpu"))
    model = task.build(shapes_of(data))
    rows = list(itertools.islice(train(task, model, data, ranks, saved), until))
    return Trained(rows, model.state_dict())


@contextlib.contextmanager
def plain_descent() -> Iterator[None]:
    """AdamW goes as far whatever the gradients' scale, so a sum in place of a mean would not show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", lambda parameters, lr, **_: torch.optim.SGD(parameters, lr=lr))
        yield


def share(rank: int, store_root: Path, folder: Path) -> None:
    """What each of two processes does: every config; dropout again with a break; a stop; a loss that diverges; one dies."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    store, ended = ArrayStore(store_root), {}
    for name, config in CONFIGS.items():
        with plain_descent() if name == PLAIN else contextlib.nullcontext():
            ended[name] = run(config, store, Ranks(rank, 2))
    path = folder / "checkpoint.safetensors"
    file = Checkpoint(lambda: path.read_bytes() if path.exists() else None, path.write_bytes, {})
    run(CONFIGS[DROPPED], store, Ranks(rank, 2), file, until=1)
    dist.barrier()
    ended["broken off"] = run(CONFIGS[DROPPED], store, Ranks(rank, 2), file)

    asked = itertools.count(1)
    stopping = Ranks(rank, 2, told_to_end=lambda: next(asked) == STOPPED_AFTER)
    with pytest.raises(ToldToEndError, match=f"epoch {STOPPED_AFTER}"):
        run(CONFIGS["uneven batches"], store, stopping)
    with pytest.raises(DivergedError):
        run(small(**UNEVEN | {"train__lr": 1e30, "train__epochs": 9}), store, Ranks(rank, 2))
    torch.save({name: vars(trained) for name, trained in ended.items()}, folder / f"{rank}.pt")
    dist.barrier()
    if rank == 1:
        os._exit(0)
    try:
        run(CONFIGS["uneven batches"], store, Ranks(rank, 2))
    except LostPeerError as error:
        (folder / LOST).write_text(str(error))


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory) -> Path:
    """What both processes have left behind."""
    folder = tmp_path_factory.mktemp("parallel")
    fill(store, *CONFIGS.values())
    processes.spawn(share, (store.root, folder), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def shared(folder) -> list[dict[str, Trained]]:
    """What both processes had in the end, by config."""
    loaded = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return [{name: Trained(**fields) for name, fields in ended.items()} for ended in loaded]


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != DROPPED])
def test_numbers_are_those_of_one_process(name, shared, store):
    with plain_descent() if name == PLAIN else contextlib.nullcontext():
        alone, ours = run(CONFIGS[name], store, Ranks()), shared[0][name]
    tolerance = 0.02 if name == "half precision" else 1e-3  # in bf16 a part of a batch rounds otherwise
    assert [row["step"] for row in ours.rows] == [row["step"] for row in alone.rows]
    for mine, other in zip(ours.rows, alone.rows, strict=True):
        losses = {key: value for key, value in other.items() if key.endswith("loss")}
        assert {key: mine[key] for key in losses} == pytest.approx(losses, rel=tolerance)


@pytest.mark.parametrize("name", [*CONFIGS, "broken off"])
def test_both_processes_have_the_same_model(name, shared):
    first, second = (ended[name].weights for ended in shared)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_group_that_was_taken_down_is_a_lost_peer():
    """Ray Train does so under a worker that trains, where another one was lost or its machine is taken away."""
    assert not dist.is_initialized()
    for call in (lambda: Ranks(0, 2).from_first([1.0]), lambda: Ranks(1, 2).add({"loss": torch.tensor(1.0)})):
        with pytest.raises(LostPeerError, match="another worker of the training was lost: Default process group"):
            call()


def test_the_first_alone_validates(shared):
    first, second = (ended["uneven batches"].rows[0] for ended in shared)
    assert set(first) - set(second) == {"val/loss", "val/mse", "val/l1", "val/mask_bce", "val/mask_iou"}
    assert {name: first[name] for name in second if name != "wall_s"} == {n: second[n] for n in second if n != "wall_s"}


def test_dropout_is_another_draw(shared, store):
    alone, ours = run(CONFIGS[DROPPED], store, Ranks()), shared[0][DROPPED]
    assert ours.rows[0]["train/loss"] != pytest.approx(alone.rows[0]["train/loss"], rel=1e-4)


def test_a_shared_training_goes_on_bit_for_bit_dropout_included(shared):
    whole, resumed = shared[0][DROPPED], shared[0]["broken off"]
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    losses = [[row["train/loss"] for row in trained.rows] for trained in (whole, resumed)]
    assert losses[0] == losses[1]


def test_a_process_that_loses_the_other_says_that_and_nothing_of_the_trial(folder):
    assert (folder / LOST).read_text().startswith("another worker of the training was lost: ")


def test_every_image_of_a_batch_is_one_process_s():
    for n_images, size in itertools.product(range(1, 9), (1, 2, 3, 8)):
        batch = torch.arange(n_images)
        parts = [Ranks(rank, size).part(batch) for rank in range(size)]
        assert torch.equal(torch.cat(parts), batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
