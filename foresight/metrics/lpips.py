"""LPIPS (Zhang et al. 2018), under the name that says which trunk it was measured with.

With torchvision's AlexNet in torch's hub directory, or at `$FORESIGHT_LPIPS_TRUNK`, the metric is `lpips`. Without it the
trunk is seeded and random and the metric is `lpips_random_trunk`: it still orders blur and shift, but its values cannot
be compared with published ones.
"""

import hashlib
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from foresight.errors import RequestError


@dataclass(frozen=True)
class Lpips:
    """The metric's name, what identifies its trunk, and the network."""

    name: str
    trunk: str
    network: nn.Module

    @torch.no_grad()
    def __call__(self, prediction_B3HW: Tensor, target_B3HW: Tensor) -> Tensor:
        """[B] distances of pictures in [0, 1], at least 32 x 32."""
        return self.network(prediction_B3HW * 2 - 1, target_B3HW * 2 - 1).flatten()


def load_lpips(trunk: Path | None, device: str = "cpu") -> Lpips:
    """LPIPS with the trunk at `trunk`, or with a seeded random one for None.

    Raises RequestError when the file does not hold AlexNet's convolutions.
    """
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips calls torchvision by arguments that are on their way out
        torch.manual_seed(0)
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval().requires_grad_(False)
    if trunk is None:
        return Lpips("lpips_random_trunk", "random seed 0", network.to(device))
    try:
        state = torch.load(trunk, map_location="cpu", weights_only=True)
        # lpips names AlexNet's layers net.slice1.0, net.slice2.3, ...; torchvision features.0, features.3, ...
        network.net.load_state_dict(
            {name: state["features." + name.split(".", 1)[1]] for name in network.net.state_dict()}
        )
    except (OSError, LookupError, TypeError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RequestError(f"'{trunk}' does not hold torchvision's AlexNet: {reason}") from error
    digest = hashlib.sha256(trunk.read_bytes()).hexdigest()[:8]
    return Lpips("lpips", f"alexnet {digest}", network.to(device))
