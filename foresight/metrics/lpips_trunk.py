"""Where LPIPS finds its pretrained trunk on this machine. Starts without torch, so that a request can be checked early."""

import os
from pathlib import Path

from foresight.errors import RequestError

TRUNK_FILE = "alexnet-owt-7be5be79.pth"
TRUNK_VARIABLE = "FORESIGHT_LPIPS_TRUNK"


def find_trunk() -> Path | None:
    """The pretrained trunk's file: `$FORESIGHT_LPIPS_TRUNK`, else torch's hub directory, else None.

    Raises RequestError when the variable names a file that is not there.
    """
    given = os.environ.get(TRUNK_VARIABLE)
    if given:
        if not Path(given).is_file():
            raise RequestError(f"{TRUNK_VARIABLE} is '{given}', which is not a file; unset it or name AlexNet's .pth")
        return Path(given)
    # torch.hub's own rule, repeated here so that asking does not need torch.
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    path = Path(home).expanduser() / "hub" / "checkpoints" / TRUNK_FILE
    return path if path.is_file() else None
