"""Where the weights of an encoder, and of LTX-Video, come from.

`random` as a checkpoint means the real architecture at toy size with seeded random weights. It says nothing about
pretrained encoders; it exercises every line of the path that they take.
"""

import hashlib
import json
import os
from pathlib import Path

from foresight.errors import RequestError

RANDOM = "random"
CHECKPOINTS_VARIABLE = "FORESIGHT_CHECKPOINTS"
LTX_FILES = {"vae": "config.json", "transformer": "config.json", "scheduler": "scheduler_config.json"}


def local_checkpoint(name: str) -> Path | None:
    """`$FORESIGHT_CHECKPOINTS/<last part of name>` if that is there: a folder or a .safetensors file."""
    root = os.environ.get(CHECKPOINTS_VARIABLE)
    if not root:
        return None
    stem = Path(root) / name.split("/")[-1]
    found = [path for path in (stem, stem.with_name(stem.name + ".safetensors")) if path.exists()]
    return found[0] if found else None


def check_checkpoint(name: str) -> None:
    """Raises RequestError unless a checkpoint is in $FORESIGHT_CHECKPOINTS, in the Hugging Face cache, or downloadable."""
    if name == RANDOM or local_checkpoint(name) is not None:
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
    """As `check_checkpoint`; a local one must also be of diffusers' layout and read tokens of `caption_dim` channels."""
    check_checkpoint(name)
    local = local_checkpoint(name)
    if local is None:
        return
    missing = [f"{part}/{file}" for part, file in LTX_FILES.items() if not (local / part / file).is_file()]
    if missing:
        raise RequestError(f"{local} is no LTX-Video of diffusers' layout: it has no {', no '.join(missing)}")
    found = json.loads((local / "transformer" / LTX_FILES["transformer"]).read_text()).get("caption_channels")
    if found != caption_dim:
        raise RequestError(f"the transformer in {local} reads tokens of {found} channels, not {caption_dim}")


def weights_fingerprint(name: str) -> str:
    """What the weights are, for the key of everything computed with them: `random`, a hub name, or a hash of local files.

    Of each local file the hash covers its name, size and first and last megabyte: enough to tell checkpoints apart.
    """
    local = local_checkpoint(name)
    if name == RANDOM or local is None:
        return name
    digest = hashlib.sha256()
    for path in sorted(p for p in local.rglob("*") if p.is_file()) if local.is_dir() else [local]:
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}".encode() + file.read(2**20))
            file.seek(max(0, path.stat().st_size - 2**20))
            digest.update(file.read())
    return digest.hexdigest()[:16]
