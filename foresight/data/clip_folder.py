"""What folders of clips have in common: dealing to splits, clipping a request, and loading clip by clip.

A reader of one layout (ssv2, davis) says which clips there are and how one is read; the rest is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresight.config import DataConfig
from foresight.data.clip_set import ClipSet
from foresight.data.counter_hash import stream_of
from foresight.data.image_set import SPLITS, hash_pixels
from foresight.data.letterbox import box_to_frame, content_mask, content_rect, letterbox_image, letterbox_mask
from foresight.errors import RequestError

VAL_FRAC = 0.1  # of the clips that train and val are taken from


@dataclass(frozen=True)
class ClipFile:
    """One clip of a folder, undecoded."""

    name: str  # what the data set calls it
    scene: str
    files: tuple[Path, ...]  # one video, or one picture for each frame
    mask_files: tuple[Path, ...] = ()  # one for each frame, or none


@dataclass(frozen=True)
class ClipFolder:
    """The clips of a folder, dealt to `train`, `val` and `test`, each in the order of taking."""

    title: str  # what sentences call the data set
    root: Path
    fingerprint: str  # 16 hex digits, the same wherever the folder stands
    pools: dict[str, list[ClipFile]]


@dataclass(frozen=True)
class Footage:
    """The frames of one clip as stored."""

    frames: np.ndarray  # uint8 [T, H, W, 3]
    masks: np.ndarray | None = None  # bool [T, H, W], of one object


def deal(title: str, root: Path, rest: list[ClipFile], test: list[ClipFile], seed: int) -> dict[str, list[ClipFile]]:
    """`test` as it is and `rest` to train and val, each in the order of a hash of `seed` and the clip's name.

    Raises RequestError when a split would be empty.
    """
    if len(rest) < 2 or not test:
        raise RequestError(
            f"the {title} folder '{root}' lists too few clips: {len(rest)} to train and validate with and {len(test)} "
            "to test with, and at least 2 and 1 are needed; add clips"
        )
    rest, test = (
        sorted(clips, key=lambda clip: (stream_of(title, seed, clip.name), clip.name)) for clips in (rest, test)
    )
    n_val = max(1, round(len(rest) * VAL_FRAC))
    return {"train": rest[n_val:], "val": rest[:n_val], "test": test}


def check_root(name: str, title: str, root: Path | None) -> Path:
    """The folder, if there is one. Raises RequestError otherwise."""
    if root is None:
        raise RequestError(f"the data '{name}' needs the folder that holds {title}; give it with --{name}-root DIR")
    if not Path(root).is_dir():
        raise RequestError(f"the {title} folder '{root}' does not exist; give the folder that it was unpacked to")
    return Path(root)


def resolve_with(config: DataConfig, folder: ClipFolder) -> DataConfig:
    """The config with the folder's fingerprint and with no split larger than what the folder lists for it."""
    counts = {f"n_{split}": min(getattr(config, f"n_{split}"), len(folder.pools[split])) for split in SPLITS}
    return config.model_copy(update={"fingerprint": folder.fingerprint, **counts})


def load_with(
    config: DataConfig, folder: ClipFolder, read_clip: Callable[[ClipFile, int], Footage | None]
) -> dict[str, ClipSet]:
    """The three clip sets of a resolved config. `read_clip` gives a clip's frames, or None when it has too few.

    A clip that the folder holds twice is used once: in test rather than val, in val rather than train.
    Raises RequestError when the folder is not the one that the config was resolved with, or cannot be read.
    """
    if config.fingerprint != folder.fingerprint:
        planned = f"'{config.fingerprint}'" if config.fingerprint else "no fingerprint: resolve the config first"
        raise RequestError(
            f"the {folder.title} folder '{folder.root}' is not the one that was planned with: its content has the "
            f"fingerprint '{folder.fingerprint}', the plan has {planned}; plan again, or restore the folder"
        )
    seen: set[str] = set()
    loaded = {split: _load_split(split, folder, config, seen, read_clip) for split in ("test", "val", "train")}
    return {split: loaded[split] for split in SPLITS}


def _load_split(
    split: str,
    folder: ClipFolder,
    config: DataConfig,
    seen: set[str],
    read_clip: Callable[[ClipFile, int], Footage | None],
) -> ClipSet:
    """The first `n` clips of the pool that are long enough and not in `seen`, which learns them."""
    n, n_frames, side = getattr(config, f"n_{split}"), config.n_frames, config.image_px
    frames = np.empty((n, n_frames, side, side, 3), dtype=np.uint8)  # most of the memory: held once
    rows: list[dict[str, Any]] = []
    copies: list[str] = []
    short: list[str] = []
    for clip in folder.pools[split]:
        if len(rows) == n:
            break
        footage = read_clip(clip, n_frames)
        if footage is None:
            short.append(clip.name)
            continue
        name = hash_pixels(footage.frames)
        if name in seen:
            copies.append(clip.name)
            continue
        seen.add(name)
        frames[len(rows)] = _letterbox_frames(footage.frames, side)
        rows.append({"sample_hash": name, "scene": clip.scene, **_describe(footage, config.target_px)})
    if len(rows) < n:
        left_out = [
            f"{what} ({len(names)}, such as {names[0]})"
            for what, names in (("copies", copies), (f"clips of fewer than {n_frames} frames", short))
            if names
        ]
        without = f" after leaving out {' and '.join(left_out)}" if left_out else ""
        raise RequestError(
            f"the split '{split}' asks for {n} clips but the {folder.title} folder '{folder.root}' has {len(rows)} "
            f"for it{without}; lower n_{split} to {len(rows)}, or add clips"
        )
    columns = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    return ClipSet(split=split, frames=frames, **columns)


def _letterbox_frames(frames: np.ndarray, frame_px: int) -> np.ndarray:
    """uint8 [T, frame_px, frame_px, 3]."""
    from PIL import Image

    return np.stack([letterbox_image(Image.fromarray(frame), frame_px) for frame in frames])


def _describe(footage: Footage, target_px: int) -> dict[str, Any]:
    """One row of a ClipSet, apart from the encoders' frames, the hash and the scene."""
    height, width = footage.frames.shape[1:3]
    row = {
        "targets": _letterbox_frames(footage.frames, target_px).transpose(0, 3, 1, 2),
        "content": content_mask(width, height, target_px),
        "content_xyxy": np.array(content_rect(width, height), dtype=np.float32),
    }
    if footage.masks is not None:
        row["masks"] = np.stack([letterbox_mask(mask, target_px) for mask in footage.masks])
        row["boxes_xyxy"] = np.array([_tight_box(mask) for mask in footage.masks], dtype=np.float32)
    return row


def _tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The bounds of a mask (bool [H, W]) in the square frame; zeros for an empty one."""
    if not mask.any():
        return 0.0, 0.0, 0.0, 0.0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return box_to_frame((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), width, height)
