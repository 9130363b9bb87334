"""Which pictures the trials of a study kept, and what is on them.

In: a study. A picture's caption travels inside its file, since only the task that drew it knows what its rows are.
"""

import io

import numpy as np
from PIL import Image

from analysis.load import StudyData
from foresight.space import BASELINE

FIRST = "examples"  # the picture of the first test images; its group stands first on the page
TARGET, RECONSTRUCTION = "target", "reconstruction"  # rows that the caption of a strip has to name


def trials_with(data: StudyData, picture: str) -> dict[str, str]:
    """Arm to the key of its trial that left this picture, at the first seed at which the baseline has one."""
    complete = data.complete[
        data.complete["key"].map(lambda key: (data.log.trials_dir / key / f"{picture}.png").exists())
    ]
    seeds = complete.loc[complete["arm"] == BASELINE, "seed"]
    if seeds.empty:
        return {}
    at_first = complete[complete["seed"] == seeds.min()]
    keys = dict(zip(at_first["arm"], at_first["key"], strict=True))
    return {arm: keys[arm] for arm in data.arms if arm in keys}


def count_kept_images(data: StudyData) -> int:
    """How many test images, the first ones, every trial keeps a picture of; 0 where none says so."""
    keys = trials_with(data, FIRST)
    strip = read_strip(data, next(iter(keys.values()))) if keys else {}
    return min((row.shape[1] // row.shape[0] for row in strip.values()), default=0)


def read_picture(data: StudyData, key: str, picture: str) -> np.ndarray:
    """The pixels of one picture of a trial, [height, width, 3]."""
    with Image.open(data.log.trials_dir / key / f"{picture}.png") as image:
        return np.asarray(image.convert("RGB"))


def read_strip(data: StudyData, key: str) -> dict[str, np.ndarray]:
    """Rows of a trial's kept pictures by the names in their caption; empty where it says nothing of rows."""
    content = (data.log.trials_dir / key / f"{FIRST}.png").read_bytes()
    start, _, listed = read_caption(content).partition(": ")
    names = listed.rstrip(".").split(", ")
    pixels = read_picture(data, key, FIRST)
    if start != "Rows" or pixels.shape[0] % len(names) or pixels.shape[1] % (pixels.shape[0] // len(names)):
        return {}
    return dict(zip(names, np.split(pixels, len(names)), strict=True))


def read_caption(png: bytes) -> str:
    """The text that a picture carries under `Caption`; nothing where it has none."""
    with Image.open(io.BytesIO(png)) as image:
        return str(image.info.get("Caption", ""))
