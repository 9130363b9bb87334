"""Proof, from the run log alone, that nothing a trial was measured on was trained on: no test image, no further set.

In: the hashes of a study's splits (`foresight.split_log`) and the summaries of its samples. Out: which complete trials are
proved and why the others are not. An overlap is refused: every number of such a trial is one about training. A clip has one
hash over all of its frames; that none of these is a picture of the training is what the trial itself proves, or it fails.
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
from foresight.split_log import names_a_split, read_split, split_path

TRAINING = {"data/train_hash": "training", "data/val_hash": "validation"}
TEST = "data/test_hash"


@dataclass(frozen=True)
class Unproven:
    """Trials of which what they were measured on cannot be held against what they were trained on, and what is missing.

    `on` is the further set that this is about; without one it is the test images.
    """

    reason: str
    keys: tuple[str, ...]
    on: str = ""

    @property
    def images(self) -> str:
        """What is not proved, as in `the test images`."""
        return f"images of the further set {self.on}" if self.on else "test images"


def prove_unseen(root: Path, complete: pd.DataFrame, summaries: pd.DataFrame) -> tuple[Unproven, ...]:
    """The trials for which the run log proves nothing; empty when every image that any was measured on is proved unseen.

    Raises RequestError when a test image, or one of a further set, is among the training or validation images of its
    trial, or when the hashes that are kept are not those of the set that the row names.
    """
    _refuse_shared_samples(summaries)
    task = complete.get("config/task", pd.Series("", index=complete.index))
    trained = complete[~task.isin(UNTRAINED_TASKS) & (complete["provenance"] != "simulated")]
    known: dict[str, frozenset[str] | None] = {}
    unproven: dict[tuple[str, str], list[str]] = {}
    further = {name.split("/")[1]: name for name in map(str, trained) if names_a_split(name) and name[:5] != "data/"}
    for on, column in {"": TEST, **further}.items():
        columns = [name for name in (*TRAINING, column) if name in trained]
        measured = trained[trained[column].notna()] if on else trained
        for named, rows in measured.groupby(columns, dropna=False, sort=False):
            hashes = {name: str(value) for name, value in zip(columns, named, strict=True) if isinstance(value, str)}
            for set_hash in hashes.values():
                if set_hash not in known:
                    known[set_hash] = _read(root, set_hash)
            reason = _held_against(hashes, known, column, on, str(rows["key"].iloc[0]))
            if reason:
                unproven.setdefault((reason, on), []).extend(map(str, rows["key"]))
    return tuple(Unproven(reason, tuple(keys), on) for (reason, on), keys in unproven.items())


def _held_against(
    hashes: Mapping[str, str], known: Mapping[str, frozenset[str] | None], measured_on: str, on: str, key: str
) -> str:
    """What is missing for a proof that the set named by the column `measured_on` is unseen, or ``."""
    measured, measured_hash = known.get(hashes.get(measured_on, "")), hashes.get(measured_on)
    called_measured = f"'{on}'" if on else "test"
    for column, called in TRAINING.items():
        images = known.get(hashes.get(column, ""))
        shared = sorted(images & measured) if images is not None and measured is not None else []
        if shared or (measured_hash is not None and measured_hash == hashes.get(column)):
            which = (
                f"{len(shared)} of its {called} images (for example {shared[0]})" if shared else f"its {called} images"
            )
            where = f" as the further set '{on}'" if on else ""
            raise RequestError(
                f"trial {key} was tested on {which}{where}, so its {called_measured} numbers are about what it was trained on; "
                "split the data again and run the study anew"
            )
    if "data/train_hash" not in hashes:
        return "the row does not say which images were trained on"
    missing = [column for column in hashes if known[hashes[column]] is None]
    names = [TRAINING.get(column, called_measured) for column in missing]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    return f"the hashes of their {listed} images are not kept" if missing else ""


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
