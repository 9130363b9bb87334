"""Where the weights of an encoder, and of LTX-Video, come from.

`random` as a checkpoint means the real architecture at toy size with seeded random weights. It says nothing about
pretrained encoders; it exercises every line of the path that they take.
"""

import functools
import hashlib
import json
import os
from pathlib import Path

from foresight.errors import RequestError

RANDOM = "random"
CHECKPOINTS_VARIABLE = "FORESIGHT_CHECKPOINTS"
LTX_FILES = {"vae": "config.json", "transformer": "config.json", "scheduler": "scheduler_config.json"}
LTX_PARTS_WITH_WEIGHTS = ("vae", "transformer")


def local_checkpoint(name: str) -> Path | None:
    """`$FORESIGHT_CHECKPOINTS/<last part of name>` if that is there: a folder or a .safetensors file."""
    root = os.environ.get(CHECKPOINTS_VARIABLE)
    if not root:
        return None
    stem = Path(root) / name.split("/")[-1]
    found = [path for path in (stem, stem.with_name(stem.name + ".safetensors")) if path.exists()]
    return found[0] if found else None


def check_checkpoint(name: str) -> None:
    """Raises RequestError unless a checkpoint is in $FORESIGHT_CHECKPOINTS, in the Hugging Face cache, or downloadable.

    Of local files the descriptions are read, not the weights: a file that was cut off is found without loading it.
    """
    if name == RANDOM:
        return
    local = local_checkpoint(name)
    if local is not None:
        _check_files(local)
        return
    from huggingface_hub import HfApi, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    repo = name if "/" in name else f"timm/{name}"
    try:
        if any(cached.repo_id == repo and cached.nb_files for cached in scan_cache_dir().repos):
            return
    except CacheNotFound:
        pass  # nothing was ever downloaded on this machine: ask the hub
    try:
        HfApi().model_info(repo, timeout=5)
    except Exception as error:  # the hub's client has changed its HTTP library twice, and each raises errors of its own
        raise RequestError(
            f"checkpoint '{repo}' is neither in ${CHECKPOINTS_VARIABLE} nor in the Hugging Face cache, and the hub "
            f"cannot be asked ({type(error).__name__}); download it with 'hf download {repo}' or put it in a folder "
            f"and set {CHECKPOINTS_VARIABLE} to that folder"
        ) from error


def check_ltx_checkpoint(name: str, caption_dim: int) -> None:
    """As `check_checkpoint`; a local one must be of diffusers' layout and read tokens of `caption_dim` channels."""
    local = local_checkpoint(name)
    if local is None:
        check_checkpoint(name)
        return
    missing = [f"{part}/{file}" for part, file in LTX_FILES.items() if not (local / part / file).is_file()]
    if missing:
        raise RequestError(f"{local} is no LTX-Video of diffusers' layout: it has no {', no '.join(missing)}")
    for part in LTX_PARTS_WITH_WEIGHTS:
        _check_files(local / part)
    found = json.loads((local / "transformer" / LTX_FILES["transformer"]).read_text()).get("caption_channels")
    if found != caption_dim:
        raise RequestError(f"the transformer in {local} reads tokens of {found} channels, not {caption_dim}")


def _check_files(checkpoint: Path) -> None:
    """Raises RequestError for a folder without config.json and weights, or a file that is damaged or cut off."""
    from safetensors import SafetensorError, safe_open

    files = sorted(checkpoint.glob("*.safetensors")) if checkpoint.is_dir() else [checkpoint]
    if not files:
        raise RequestError(f"the checkpoint '{checkpoint}' has no .safetensors file; download it again")
    at = checkpoint
    try:
        if checkpoint.is_dir():
            for at in (checkpoint / "config.json", *checkpoint.glob("*.safetensors.index.json")):
                described = json.loads(at.read_text())
                needed = set(described.get("weight_map", {}).values())
                missing = sorted(needed - {file.name for file in files})
                if missing:
                    raise ValueError(f"{len(missing)} files that it names are not there, such as {missing[0]}")
        for at in files:
            with safe_open(at, framework="numpy"):  # reads the header, and that the file is as long as it says
                pass
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(f"the checkpoint file '{at}' cannot be read ({reason}); download it again") from error


def weights_fingerprint(name: str) -> str:
    """What the weights are, for the key of everything computed with them: `random`, a hub name, or a hash of local files.

    Of each local file the hash covers its name, size and first and last megabyte: enough to tell checkpoints apart.
    """
    local = local_checkpoint(name)
    if name == RANDOM or local is None:
        return name
    files = sorted(p for p in local.rglob("*") if p.is_file()) if local.is_dir() else [local]
    return _digest(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@functools.lru_cache  # a sweep asks for thousands of keys
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in files:
        with path.open("rb") as file:
            digest.update(f"{path.name} {size}".encode() + file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return digest.hexdigest()[:16]
