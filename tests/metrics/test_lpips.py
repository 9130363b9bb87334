import hashlib
from pathlib import Path

import pytest
import torch
import torchvision

from foresight.errors import RequestError
from foresight.metrics.lpips import load_lpips
from foresight.metrics.lpips_trunk import find_trunk

FILE = "alexnet-owt-7be5be79.pth"


def noise(seed: int, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty torch home."""
    monkeypatch.delenv("FORESIGHT_LPIPS_TRUNK", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


@pytest.fixture(scope="module")
def alexnet() -> dict[str, torch.Tensor]:
    """A random state of torchvision's AlexNet under its own names; the classifier, which LPIPS leaves out, is empty."""
    with torch.device("meta"):
        shapes = torchvision.models.alexnet().state_dict()
    generator = torch.Generator().manual_seed(7)
    return {
        name: 0.05 * torch.randn(value.shape, generator=generator) if name.startswith("features.") else torch.empty(0)
        for name, value in shapes.items()
    }


def test_without_a_trunk_the_name_says_so(lpips, home):
    assert find_trunk() is None
    assert lpips.name == "lpips_random_trunk"
    assert "random" in lpips.trunk


def test_the_random_trunk_ignores_the_global_seed_and_leaves_it_alone(lpips):
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = load_lpips(None)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again(noise(0), noise(1)), lpips(noise(0), noise(1)))


def test_each_pair_has_its_own_distance_and_a_copy_has_none(lpips):
    prediction, target = noise(0), noise(1)
    prediction[1] = target[1]
    distances = lpips(prediction, target)
    assert distances.shape == (2,)
    assert distances[0] > 0.001
    assert distances[1] == 0


def test_pictures_from_0_to_1_are_stretched_to_what_the_network_reads(lpips):
    seen = []
    handle = lpips.network.register_forward_pre_hook(lambda _, pictures: seen.extend(pictures))
    try:
        lpips(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    finally:
        handle.remove()
    assert [picture.unique().tolist() for picture in seen] == [[-1], [1]]


def test_torchvisions_trunk_in_torchs_home_is_lpips_by_name(home, alexnet, lpips):
    torch.save(alexnet, home / FILE)
    assert find_trunk() == home / FILE
    pretrained = load_lpips(find_trunk())
    assert pretrained.name == "lpips"
    assert pretrained.trunk == f"alexnet {hashlib.sha256((home / FILE).read_bytes()).hexdigest()[:8]}"
    convolutions = [part for part in pretrained.network.net.modules() if isinstance(part, torch.nn.Conv2d)]
    for convolution, number in zip(convolutions, (0, 3, 6, 8, 10), strict=True):
        assert torch.equal(convolution.weight, alexnet[f"features.{number}.weight"])
        assert torch.equal(convolution.bias, alexnet[f"features.{number}.bias"])
    assert not torch.allclose(pretrained(noise(0), noise(1)), lpips(noise(0), noise(1)), rtol=0.01)


def test_a_trunk_that_the_user_names_comes_first(home, alexnet, monkeypatch, tmp_path):
    torch.save(alexnet, home / FILE)
    chosen = tmp_path / "chosen.pth"
    torch.save({name: 2 * value for name, value in alexnet.items()}, chosen)
    monkeypatch.setenv("FORESIGHT_LPIPS_TRUNK", str(chosen))
    assert find_trunk() == chosen
    assert load_lpips(chosen).trunk != load_lpips(home / FILE).trunk


def test_torchs_home_is_found_by_torchs_own_rule(home, monkeypatch, tmp_path):
    (home / FILE).touch()
    assert str(find_trunk().parent) == torch.hub.get_dir() + "/checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    below = tmp_path / "cache" / "torch" / "hub" / "checkpoints"
    below.mkdir(parents=True)
    (below / FILE).touch()
    assert str(find_trunk().parent) == torch.hub.get_dir() + "/checkpoints"


def test_a_trunk_that_is_not_there_is_a_wrong_request(home, monkeypatch):
    monkeypatch.setenv("FORESIGHT_LPIPS_TRUNK", str(home / "nowhere.pth"))
    with pytest.raises(RequestError, match="which is not a file"):
        find_trunk()


def test_a_file_without_alexnets_layers_is_a_wrong_request(home):
    torch.save({"features.0.weight": torch.zeros(1)}, home / FILE)
    with pytest.raises(RequestError, match="does not hold torchvision's AlexNet"):
        load_lpips(home / FILE)


def test_layers_of_other_sizes_are_a_wrong_request(home, alexnet):
    torch.save({name: value[:1] for name, value in alexnet.items()}, home / FILE)
    with pytest.raises(RequestError, match="does not hold torchvision's AlexNet"):
        load_lpips(home / FILE)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 half a file"])
def test_a_file_that_is_no_checkpoint_is_a_wrong_request_in_one_line(home, content):
    (home / FILE).write_bytes(content)
    with pytest.raises(RequestError, match="does not hold torchvision's AlexNet") as caught:
        load_lpips(home / FILE)
    assert "\n" not in str(caught.value)
