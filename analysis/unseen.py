"""Proof, from the run log alone, that no test image was trained on.

In: the hashes of a study's splits (`foresight.split_log`) and the summaries of its samples. Out: which complete trials are
proved and why the others are not. An overlap is refused: every number of such a trial is one about training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.reading import read_checked
from foresight.config.trial import UNTRAINED_TASKS
from foresight.errors import RequestError
from foresight.set_hash import compute_set_hash
from foresight.split_log import read_split, split_path

TRAINING = {"data/train_hash": "training", "data/val_hash": "validation"}


@dataclass(frozen=True)
class Unproven:
    """Trials whose test images cannot be held against what they were trained on, and what is missing."""

    reason: str
    keys: tuple[str, ...]


def prove_unseen(root: Path, complete: pd.DataFrame, summaries: pd.DataFrame) -> tuple[Unproven, ...]:
    """The trials for which the run log proves nothing; empty when every test image of every trial is proved unseen.

    Raises RequestError when a test image is among the training or validation images of its trial, or when the hashes
    that are kept are not those of the set that the row names.
    """
    _refuse_shared_samples(summaries)
    task = complete.get("config/task", pd.Series("", index=complete.index))
    trained = complete[~task.isin(UNTRAINED_TASKS) & (complete["provenance"] != "simulated")]
    known: dict[str, frozenset[str] | None] = {}
    unproven: dict[str, list[str]] = {}
    columns = [name for name in (*TRAINING, "data/test_hash") if name in trained]
    for named, rows in trained.groupby(columns, dropna=False, sort=False):
        hashes = {name: str(value) for name, value in zip(columns, named, strict=True) if isinstance(value, str)}
        for set_hash in hashes.values():
            if set_hash not in known:
                known[set_hash] = _read(root, set_hash)
        reason = _held_against(hashes, known, str(rows["key"].iloc[0]))
        if reason:
            unproven.setdefault(reason, []).extend(map(str, rows["key"]))
    return tuple(Unproven(reason, tuple(keys)) for reason, keys in unproven.items())


def _held_against(hashes: Mapping[str, str], known: Mapping[str, frozenset[str] | None], key: str) -> str:
    """What is missing for a proof, or ``."""
    test = known.get(hashes.get("data/test_hash", ""))
    for column, called in TRAINING.items():
        images = known.get(hashes.get(column, ""))
        shared = sorted(images & test) if images is not None and test is not None else []
        if shared:
            raise RequestError(
                f"trial {key} was tested on {len(shared)} of its {called} images (for example {shared[0]}), so its test "
                "numbers are about what it was trained on; split the data again and run the study anew"
            )
    if "data/train_hash" not in hashes:
        return "the row does not say which images were trained on"
    missing = [column for column in hashes if known[hashes[column]] is None]
    names = [TRAINING.get(column, "test") for column in missing]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    return f"the hashes of its {listed} images are not kept" if missing else ""


def _read(root: Path, set_hash: str) -> frozenset[str] | None:
    path = split_path(root, set_hash)
    images = read_checked(partial(read_split, root, set_hash), [path])
    if images is not None and compute_set_hash(images) != set_hash:
        raise RequestError(
            f"'{path}' does not hold the images that its name stands for (they hash to {compute_set_hash(images)}), so "
            "it proves nothing about them; restore it from a copy"
        )
    return frozenset(images) if images is not None else None


def _refuse_shared_samples(summaries: pd.DataFrame) -> None:
    shared = summaries[summaries["n_trained_on"] > 0]
    if len(shared):
        first = shared.iloc[0]
        raise RequestError(
            f"in the samples of trial {first['key']} {int(first['n_trained_on'])} images of the split '{first['split']}' "
            "stand among the training or validation images as well, so its test numbers are about what it was trained on"
        )
