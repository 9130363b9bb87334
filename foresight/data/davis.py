"""Short film sequences in DAVIS 2017's layout; the true mask and box follow the largest annotated object.

    JPEGImages/480p/<sequence>/00000.jpg, ...
    Annotations/480p/<sequence>/00000.png, ...      palette pictures: 0 background, k object k
    ImageSets/2017/train.txt, val.txt               names of sequences

Each sequence is one clip, its frames evenly spaced. Train and val come from `train.txt`, test from `val.txt`:
the masks of DAVIS's own test sets are not public. The scene is the sequence's name.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from foresight.config import DataConfig
from foresight.data.clip_folder import (
    ClipFile,
    ClipFolder,
    Footage,
    check_root,
    deal,
    load_with,
    resolve_with,
)
from foresight.data.clip_set import ClipSet
from foresight.data.video import spread_frames
from foresight.errors import RequestError

READER_VERSION = 1  # raise it when the same folder gives other arrays, so that no old trial passes for a new one
TITLE = "DAVIS 2017"
FRAMES, MASKS, LISTS = "JPEGImages/480p", "Annotations/480p", "ImageSets/2017"
VOID = 255  # belongs to no object and not to the background either


def resolve_data(config: DataConfig, root: Path | None) -> DataConfig:
    """The config with the folder's fingerprint and with no split larger than what the folder lists for it.

    Decodes no picture. Raises RequestError for a folder that cannot be used.
    """
    return resolve_with(config, read_folder(root, config.seed))


def load_splits(config: DataConfig, root: Path | None) -> dict[str, ClipSet]:
    """The three clip sets of a resolved config, with masks; sequences shorter than `n_frames` are passed over.

    Raises RequestError when the folder is not the one that the config was resolved with, or cannot be read.
    """
    return load_with(config, read_folder(root, config.seed), _read_clip)


def read_folder(root: Path | None, seed: int) -> ClipFolder:
    """Reads the lists and deals the sequences. The fingerprint is over the lists, names and byte sizes of all files.

    Raises RequestError for a folder that cannot be used.
    """
    root = check_root("davis", TITLE, root)
    digest = hashlib.sha256(f"davis reader {READER_VERSION}".encode())
    rest, test = (
        [_find_sequence(root, name, digest) for name in _read_list(root, split, digest)] for split in ("train", "val")
    )
    return ClipFolder(TITLE, root, digest.hexdigest()[:16], deal(TITLE, root, rest, test, seed))


def _read_list(root: Path, split: str, digest: Any) -> list[str]:
    path = root / LISTS / f"{split}.txt"
    if not path.is_file():
        raise RequestError(
            f"the {TITLE} folder '{root}' has no list of sequences {LISTS}/{split}.txt; unpack DAVIS 2017 trainval there"
        )
    names = path.read_text().split()
    digest.update(f"{split}\0{names}\0".encode())
    return names


def _find_sequence(root: Path, name: str, digest: Any) -> ClipFile:
    """The files of a sequence, every frame with its mask; feeds their names and sizes into the digest."""
    frames = sorted((root / FRAMES / name).glob("*.jpg"))
    masks = sorted((root / MASKS / name).glob("*.png"))
    if not frames:
        raise RequestError(f"the sequence '{name}' has no frames in '{root / FRAMES / name}'; unpack DAVIS 2017 again")
    # A gap would make evenly numbered frames unevenly spaced in time.
    expected = {f"{number:05d}" for number in range(max(len(frames), len(masks)))}
    for what, files, suffix in (("frame", frames, ".jpg"), ("mask", masks, ".png")):
        absent = sorted(expected - {path.stem for path in files})
        if absent:
            raise RequestError(
                f"the sequence '{name}' of the {TITLE} folder '{root}' has {len(frames)} frames and {len(masks)} masks, "
                f"and the {what} {absent[0]}{suffix} is missing; unpack DAVIS 2017 again"
            )
    for path in (*frames, *masks):
        digest.update(f"{name}/{path.name}\0{path.stat().st_size}\0".encode())
    return ClipFile(name, name, tuple(frames), tuple(masks))


def _read_clip(clip: ClipFile, n_frames: int) -> Footage | None:
    if len(clip.files) < n_frames:
        return None
    chosen = spread_frames(len(clip.files), n_frames)
    frames = [_read_picture(clip.files[index], "RGB") for index in chosen]
    objects = [_read_picture(clip.mask_files[index], "P") for index in chosen]
    sizes = {picture.shape[:2] for picture in (*frames, *objects)}
    if len(sizes) > 1:
        shown = " and ".join(f"{width} x {height} px" for height, width in sorted(sizes))
        raise RequestError(
            f"the frames and masks of the sequence '{clip.name}' have different sizes ({shown}); unpack frames and "
            "annotations of the same resolution"
        )
    numbers = np.stack(objects)
    areas = np.bincount(numbers.ravel(), minlength=VOID + 1)
    areas[[0, VOID]] = 0
    if not areas.any():
        raise RequestError(
            f"the masks of the sequence '{clip.name}' show no object in any of {n_frames} frames; unpack them again, or "
            f"drop the sequence from {LISTS}"
        )
    return Footage(np.stack(frames), numbers == areas.argmax())


def _read_picture(path: Path, mode: str) -> np.ndarray:
    """A frame in mode RGB, uint8 [H, W, 3], or the object numbers of a mask in mode P, uint8 [H, W]."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.load()
            if mode == "P" and opened.mode not in ("P", "L"):
                raise ValueError(f"it has the mode {opened.mode}, not a palette of object numbers")
            return np.asarray(opened if mode == "P" else opened.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"the picture '{path}' cannot be read ({error}); unpack DAVIS 2017 again") from error
