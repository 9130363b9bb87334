import pytest
import torch

from foresight.config import DecoderConfig
from foresight.models.bridge import initialise
from foresight.models.decoder import DECODERS
from foresight.models.position import grid_centres

# LTX-Video is frozen and draws no mask: see test_ltx.py.
every_decoder = pytest.mark.parametrize("name", [name for name in DECODERS if name != "ltx"])


def build(name: str, n_queries: int = 16, target_px: int = 32, **fields):
    decoder = DECODERS[name](DecoderConfig(name=name, **fields), 16, n_queries, target_px).eval()
    initialise(decoder, 0)
    return decoder.requires_grad_(False)


def conditioning(n: int, n_queries: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, n_queries, 16, generator=torch.Generator().manual_seed(seed))


@every_decoder
@pytest.mark.parametrize(("n_queries", "target_px", "grid"), [(16, 32, 8), (1, 32, 32), (32, 64, 8), (7, 40, 5)])
def test_pictures_and_masks_have_the_asked_size(name, n_queries, target_px, grid):
    picture, mask_logits = build(name, n_queries, target_px, grid=grid)(conditioning(2, n_queries))
    assert picture.shape == (2, 3, target_px, target_px)
    assert mask_logits.shape == (2, target_px, target_px)


@every_decoder
def test_pictures_stay_in_range_and_masks_are_logits(name):
    decoder = build(name)
    decoder.to_pixels.weight.mul_(50)
    picture, mask_logits = decoder(conditioning(4))
    assert picture.min() < 0.01
    assert picture.max() > 0.99
    assert ((picture >= 0) & (picture <= 1)).all()
    assert mask_logits.min() < -1
    assert mask_logits.max() > 1


@every_decoder
def test_moving_content_between_tokens_moves_pixels(name):
    decoder = build(name)
    pixel_xy, token_xy = grid_centres(32, 32), grid_centres(4, 4)
    plain = torch.cat([decoder(conditioning(8))[0], decoder(conditioning(8))[1][:, None]], dim=1)
    centres = []
    for token in range(16):
        changed = conditioning(8)
        changed[:, token] = conditioning(8, seed=1)[:, token]
        picture, mask_logits = decoder(changed)
        moved = (torch.cat([picture, mask_logits[:, None]], dim=1) - plain).square().sum(dim=(0, 1)).flatten()
        centres.append((moved[:, None] * pixel_xy).sum(dim=0) / moved.sum())
    # Four columns and four rows of tokens change pixels in the same order and at about the same places.
    assert (torch.stack(centres) - token_xy).abs().max() < 0.2
    mean_xy = torch.stack(centres).unflatten(0, (4, 4))
    assert (mean_xy[..., 0].mean(dim=0).diff() > 0.1).all()
    assert (mean_xy[..., 1].mean(dim=1).diff() > 0.1).all()


@every_decoder
def test_a_token_acts_near_its_place_more_than_far_away(name):
    decoder, changed = build(name), conditioning(8)
    changed[:, 0] = conditioning(8, seed=1)[:, 0]
    moved = (decoder(changed)[0] - decoder(conditioning(8))[0]).abs().mean(dim=(0, 1))
    assert moved[:8, :8].mean() > 3 * moved[-16:, -16:].mean()


@every_decoder
def test_the_same_tokens_in_other_places_are_another_picture(name):
    decoder = build(name)
    picture, _ = decoder(conditioning(2))
    shuffled, _ = decoder(conditioning(2).flip(1))
    assert (picture - shuffled).abs().mean() > 0.02
