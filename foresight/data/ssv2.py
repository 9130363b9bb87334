"""Clips of people handling objects, in Something-Something v2's layout; the scene is the template of the label.

    labels/train.json, labels/validation.json       [{"id", "label", "template", "placeholders"}, ...]
    labels/labels.json                              every template without brackets
    20bn-something-something-v2/<id>.webm

Train and val come from `train.json`, test from `validation.json`: the labels of `test.json` were never part of
the download, so it is not read. There are no masks or boxes.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

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
from foresight.data.video import read_frames
from foresight.errors import RequestError

READER_VERSION = 1  # raise it when the same folder gives other arrays, so that no old trial passes for a new one
TITLE = "Something-Something v2"
CLIPS = "20bn-something-something-v2"


def resolve_data(config: DataConfig, root: Path | None) -> DataConfig:
    """The config with the folder's fingerprint and with no split larger than what the folder lists for it.

    Decodes no clip. Raises RequestError for a folder that cannot be used.
    """
    return resolve_with(config, read_folder(root, config.seed))


def load_splits(config: DataConfig, root: Path | None) -> dict[str, ClipSet]:
    """The three clip sets of a resolved config; clips with fewer than `n_frames` frames are passed over.

    Raises RequestError when the folder is not the one that the config was resolved with, or cannot be read.
    """
    return load_with(config, read_folder(root, config.seed), _read_clip)


def read_folder(root: Path | None, seed: int) -> ClipFolder:
    """Reads the labels and deals the clips. The fingerprint is over the labels and the clips' names and byte sizes.

    Raises RequestError for a folder that cannot be used.
    """
    root = check_root("ssv2", TITLE, root)
    digest = hashlib.sha256(f"ssv2 reader {READER_VERSION}".encode())
    templates = _read_labels(root, "labels", digest)
    try:
        known = set(templates)
        rest, test = (_parse(_read_labels(root, name, digest), root, known) for name in ("train", "validation"))
    except (KeyError, TypeError, AttributeError) as error:
        raise RequestError(
            f"the labels in '{root / 'labels'}' are not readable as Something-Something v2 "
            f"({type(error).__name__}: {error}); unpack them again"
        ) from error
    sizes = _list_clips(root)
    listed = sorted(clip.name for clip in (*rest, *test))
    missing = [name for name in listed if name not in sizes]
    if missing:
        raise RequestError(
            f"{len(missing)} of the {len(listed)} labelled clips are missing from '{root / CLIPS}', for example "
            f"{missing[0]}.webm; unpack the clips again or drop them from the labels"
        )
    for name in listed:
        digest.update(f"{name}\0{sizes[name]}\0".encode())
    return ClipFolder(TITLE, root, digest.hexdigest()[:16], deal(TITLE, root, rest, test, seed))


def _read_labels(root: Path, name: str, digest: Any) -> Any:
    """The content of one label file, which goes into the digest."""
    path = root / "labels" / f"{name}.json"
    if not path.is_file():
        raise RequestError(
            f"the {TITLE} folder '{root}' has no label file labels/{name}.json; unpack the labels of the download there"
        )
    content = path.read_bytes()
    digest.update(name.encode() + hashlib.sha256(content).digest())
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the label file '{path}' is not readable as JSON ({error}); unpack it again") from error


def _parse(entries: list[dict[str, Any]], root: Path, known: set[str]) -> list[ClipFile]:
    clips = []
    for entry in entries:
        name, template = str(entry["id"]), entry["template"].replace("[", "").replace("]", "")
        if template not in known:
            raise RequestError(
                f"clip {name} of the {TITLE} folder '{root}' has the template '{template}', which is not in "
                "labels/labels.json; unpack label files of the same release"
            )
        clips.append(ClipFile(name, template, (root / CLIPS / f"{name}.webm",)))
    return clips


def _list_clips(root: Path) -> dict[str, int]:
    """Byte sizes by name. One listing, because a question for each of 220,000 clips is slow on a network disk."""
    folder = root / CLIPS
    if not folder.is_dir():
        raise RequestError(f"the {TITLE} folder '{root}' has labels but no clips: expected {CLIPS}/ beside labels/")
    with os.scandir(folder) as entries:
        return {
            entry.name.removesuffix(".webm"): entry.stat().st_size for entry in entries if entry.name.endswith(".webm")
        }


def _read_clip(clip: ClipFile, n_frames: int) -> Footage | None:
    frames = read_frames(clip.files[0], n_frames)
    return None if frames is None else Footage(frames)
