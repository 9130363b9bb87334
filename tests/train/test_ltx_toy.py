import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_trials import small_ltx

from foresight.config import TOY_LTX, DecoderConfig
from foresight.data.shapes import plan_drawings, render
from foresight.features import extract
from foresight.features.extract import compute
from foresight.features.keys import ltx_entry
from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore
from foresight.models import ltx_shapes
from foresight.models.ltx import LtxDecoder
from foresight.models.ltx_checkpoint import load_parts, untrained_parts
from foresight.models.ltx_shapes import ToyRecipe
from foresight.train.ltx_toy import pretrain_toy, train_transformer, train_vae, write_captions

FEW_STEPS = ToyRecipe(n_pictures=16, vae_steps=3, vae_batch=4, transformer_steps=3, transformer_batch=4)


def pictures(n: int) -> torch.Tensor:
    return torch.from_numpy(render(plan_drawings(0, "pretraining", n, "big_shapes"), 64)).permute(0, 3, 1, 2)


def weights(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


def test_pretraining_twice_writes_the_same_weights_whatever_the_threads(tmp_path, restored_threads):
    torch.set_num_threads(2)
    pretrain_toy(FEW_STEPS, tmp_path / "a")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    torch.manual_seed(5)
    pretrain_toy(FEW_STEPS, tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert len(weights(tmp_path / "a")) == 2


@pytest.fixture
def restored_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_every_weight_is_trained():
    recipe = replace(FEW_STEPS, vae_lr=1e-2, transformer_lr=1e-2)
    parts, before = untrained_parts(TOY_LTX), untrained_parts(TOY_LTX)
    train_vae(parts.vae, pictures(16), recipe)
    decoder = LtxDecoder(DecoderConfig(name="ltx"), 64, 5, 64, parts)
    train_transformer(
        decoder, pictures(16), write_captions(plan_drawings(0, "pretraining", 16, "big_shapes"), 0), recipe
    )
    for part in ("vae", "transformer"):
        start = dict(getattr(before, part).named_parameters())
        still = {n for n, p in getattr(parts, part).named_parameters() if torch.equal(p, start[n])}
        # The posterior's variance is never drawn from, and softmax is blind to a bias of all keys.
        assert {n for n in still if "conv_out.conv" not in n and "to_k.bias" not in n} == set(), part
        assert not any(p.requires_grad for p in getattr(parts, part).parameters())


def test_latents_of_the_pretraining_pictures_are_standardised():
    parts = untrained_parts(TOY_LTX)
    train_vae(parts.vae, pictures(16), FEW_STEPS)
    latents = LtxDecoder(DecoderConfig(name="ltx"), 64, 5, 64, parts).encode(pictures(16).float() / 255)
    assert latents.mean(dim=(0, 1)).abs().max() < 1e-4
    assert torch.allclose(latents.std(dim=(0, 1)), torch.ones(8), atol=1e-2)


def test_the_vae_learns_to_copy_and_the_transformer_to_draw():
    def errors(steps: int) -> tuple[float, float]:
        recipe = ToyRecipe(n_pictures=32, vae_steps=steps, vae_batch=8, transformer_steps=steps, transformer_batch=8)
        parts, shown = untrained_parts(TOY_LTX), pictures(32)
        train_vae(parts.vae, shown, recipe)
        decoder = LtxDecoder(DecoderConfig(name="ltx"), 64, 5, 64, parts)
        captions = write_captions(plan_drawings(0, "pretraining", 32, "big_shapes"), 0)
        train_transformer(decoder, shown, captions, recipe)
        latents, generator = decoder.encode(shown.float() / 255), torch.Generator().manual_seed(1)
        noise, sigma = torch.randn(latents.shape, generator=generator), torch.linspace(0.01, 0.99, 32)
        with torch.no_grad():
            drawn = decoder.flow_matching_loss(latents, noise, sigma, captions).mean().item()
        return (decoder.decode(latents) - shown.float() / 255).square().mean().item(), drawn

    (copied_before, drawn_before), (copied, drawn) = errors(2), errors(20)
    assert copied < 0.7 * copied_before
    assert drawn < 0.9 * drawn_before


def test_captions_say_what_a_picture_shows():
    drawings = plan_drawings(0, "pretraining", 200, "big_shapes")
    captions = write_captions(drawings, 0)
    assert captions.shape == (200, 5, 64)
    assert captions.mean().abs() < 0.1
    assert 0.7 < captions.std() < 1.3
    # Read off linearly: the centre, and which of the eight colours.
    known = torch.cat([captions.flatten(1), torch.ones(200, 1)], dim=1).double()
    wanted = torch.stack([torch.from_numpy(drawings.x), torch.from_numpy(drawings.y)], dim=1).double()
    found = known @ torch.linalg.lstsq(known, wanted, driver="gelsd").solution
    assert (found - wanted).abs().max() < 0.01


def test_the_saved_toy_is_what_was_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(ltx_shapes, "RECIPE", FEW_STEPS)
    store = ArrayStore(tmp_path / "cache")
    request = missing_requests([small_ltx()], store)[0][0]
    assert request.kind == "ltx"
    compute(request, store)
    pretrain_toy(FEW_STEPS, tmp_path / "by hand")
    loaded = load_parts(DecoderConfig(name="ltx"), tmp_path / "cache", "cpu")
    assert len(loaded.weights) == 16
    key = next(path.name for path in (tmp_path / "cache").glob("ltx-toy-*"))
    assert weights(tmp_path / "cache" / key) == weights(tmp_path / "by hand")
    assert loaded.vae.latents_std.std() > 0
    control = load_parts(DecoderConfig(name="ltx", pretrained=False), tmp_path / "cache", "cpu")
    assert control.weights == f"{loaded.weights}, transformer random seed 0"
    untrained = untrained_parts(TOY_LTX).transformer
    assert all(torch.equal(a, b) for a, b in zip(control.transformer.parameters(), untrained.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(control.vae.parameters(), loaded.vae.parameters(), strict=True))
    assert not torch.equal(loaded.transformer.proj_in.weight, control.transformer.proj_in.weight)


def test_another_recipe_is_another_entry(monkeypatch):
    before = ltx_entry()[0]
    assert ltx_entry()[0] == before
    monkeypatch.setattr(ltx_shapes, "RECIPE", FEW_STEPS)
    assert ltx_entry()[0] != before
    monkeypatch.undo()
    monkeypatch.setitem(ltx_shapes.TOY_VAE, "patch_size", 8)
    assert ltx_entry()[0] != before


def test_two_that_ask_at_once_pretrain_once(tmp_path, monkeypatch):
    pretrained = []

    def slow(recipe: ToyRecipe, folder: Path) -> None:
        pretrained.append(recipe)
        time.sleep(0.3)  # the other asks meanwhile
        (folder / "weights").write_bytes(b"x")

    monkeypatch.setattr(extract, "pretrain_toy", slow)
    request = missing_requests([small_ltx()], ArrayStore(tmp_path))[0][0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: compute(request, ArrayStore(tmp_path)), range(2)))
    assert pretrained == [ltx_shapes.RECIPE]
    assert ArrayStore(tmp_path).has(ltx_entry()[0])
