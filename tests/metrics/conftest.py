import pytest
import torch

from foresight.metrics.lpips import Lpips, load_lpips

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lpips() -> Lpips:
    """With the seeded random trunk."""
    return load_lpips(None)
