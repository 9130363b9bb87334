import pytest
import torch
from safetensors.torch import save_file

from foresight.config import DINOv2Config
from foresight.encoders.dinov2 import IMAGENET_MEAN, IMAGENET_STD, build_dinov2, encode_dinov2
from foresight.encoders.shapes import REAL_DEPTHS, TOY_SIZES, resolve_dinov2_layer

PRETRAINED = DINOv2Config(checkpoint="lvd142m")
FILE = "vit_large_patch14_dinov2.lvd142m.safetensors"


def pictures(n: int, px: int = 56) -> torch.Tensor:
    return torch.rand(n, 3, px, px, generator=torch.Generator().manual_seed(n))


def final_tokens(model, pixels: torch.Tensor) -> torch.Tensor:
    depth = len(model.blocks)
    return encode_dinov2(model, pixels, [depth])[depth]


def saved_toy(image_px: int):
    """A toy model whose weights no seed gives."""
    model = build_dinov2(DINOv2Config(), image_px)
    for parameter in model.parameters():
        parameter.mul_(1.1)
    return model


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("px", [42, 56, 112])
def test_there_is_one_token_for_each_14_px_patch(px):
    tokens = final_tokens(build_dinov2(DINOv2Config(), px), pictures(2, px))
    assert tokens.shape == (2, (px // 14) ** 2, 64)


def test_a_batch_gives_what_its_pictures_give_alone():
    model, batch = build_dinov2(DINOv2Config(), 56), pictures(3)
    alone = torch.cat([final_tokens(model, picture[None]) for picture in batch])
    assert torch.allclose(alone, final_tokens(model, batch), rtol=0, atol=1e-5)


def test_the_last_layer_is_that_of_timms_own_forward_pass():
    model, mean, std = (
        build_dinov2(DINOv2Config(), 56),
        *(torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD)),
    )
    expected = model.forward_features((pictures(2) - mean) / std)
    assert torch.equal(final_tokens(model, pictures(2)), expected[:, 1:])


def test_one_pass_gives_each_layer_its_own_normed_output_and_goes_no_deeper():
    model, ran = build_dinov2(DINOv2Config(size="G"), 56), {}
    for number, block in enumerate(model.blocks, start=1):
        block.register_forward_hook(lambda _, __, output, number=number: ran.update({number: output}))
    tokens = encode_dinov2(model, pictures(2), [2, 1])
    assert set(tokens) == set(ran) == {1, 2}
    for layer in (1, 2):
        assert torch.equal(tokens[layer], model.norm(ran[layer])[:, 1:])
    assert encode_dinov2(model, pictures(2), [3]).keys() == {3}


def test_toy_layers_differ_a_little_after_standardisation():
    tokens = encode_dinov2(build_dinov2(DINOv2Config(size="G"), 56), pictures(8), [1, 2, 3])
    standard = {layer: (x - x.mean(dim=(0, 1))) / x.std(dim=(0, 1)) for layer, x in tokens.items()}
    for first, second in ((1, 2), (1, 3), (2, 3)):  # 0 for equal layers, 1.41 for unrelated ones
        assert (standard[first] - standard[second]).square().mean().sqrt() > 0.03


def test_tokens_are_in_raster_order():
    model, blank = build_dinov2(DINOv2Config(), 56), torch.full((1, 3, 56, 56), 0.5)
    plain = final_tokens(model, blank)
    for cell in range(16):
        row, column = divmod(cell, 4)
        changed = blank.clone()
        changed[:, :, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14] = pictures(1, 14)
        assert (final_tokens(model, changed) - plain).norm(dim=-1).argmax() == cell


def test_a_toy_block_does_something():
    # DINOv2 starts LayerScale at 1e-5, with which a random block would be the identity.
    model = build_dinov2(DINOv2Config(), 56)
    seen = {}
    model.blocks[0].register_forward_hook(lambda _, inputs, output: seen.update(before=inputs[0], after=output))
    final_tokens(model, pictures(2))
    assert (seen["after"] - seen["before"]).norm() > 0.01 * seen["before"].norm()


def test_pictures_that_are_not_whole_patches_are_refused():
    with pytest.raises(ValueError, match="multiple of 14 px, got 60"):
        final_tokens(build_dinov2(DINOv2Config(), 56), torch.rand(1, 3, 60, 60))


def test_toy_weights_ignore_the_global_seed_and_leave_it_alone():
    first = dict(build_dinov2(DINOv2Config(), 56).named_parameters())
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = build_dinov2(DINOv2Config(), 56)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(parameter, first[name]) for name, parameter in again.named_parameters())


def test_the_model_is_frozen():
    model = build_dinov2(DINOv2Config(), 56)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_checkpoint_file_gives_equal_tokens(checkpoints):
    saved = saved_toy(56)
    save_file(saved.state_dict(), checkpoints / FILE)
    loaded = build_dinov2(PRETRAINED, 56, toy=True)
    ours, theirs = (encode_dinov2(model, pictures(2), [1, 2]) for model in (saved, loaded))
    assert all(torch.equal(ours[layer], theirs[layer]) for layer in (1, 2))


def test_positions_saved_at_another_image_size_are_resampled(checkpoints):
    saved = saved_toy(112)  # 8 x 8 patches
    columns = torch.arange(8.0).expand(8, 8).flatten()
    saved.pos_embed[:, 1:] = columns[None, :, None]
    saved.pos_embed[:, 0] = 7.5
    save_file(saved.state_dict(), checkpoints / FILE)
    positions = build_dinov2(PRETRAINED, 56, toy=True).pos_embed
    assert positions.shape == (1, 1 + 16, 64)
    assert (positions[:, 0] == 7.5).all()
    grid = positions[0, 1:].unflatten(0, (4, 4))
    assert torch.allclose(grid, grid[:1].expand(4, -1, -1), atol=1e-5)  # rows alike
    assert (grid[0].diff(dim=0) > 1.5).all()  # about two saved columns to each one left
    assert torch.allclose(grid[0].mean(dim=0), torch.tensor(3.5), atol=1e-4)


def test_a_file_of_another_architecture_is_not_loaded(checkpoints):
    save_file(build_dinov2(DINOv2Config(size="B"), 56).state_dict(), checkpoints / FILE)
    with pytest.raises(RuntimeError, match="size mismatch"):
        build_dinov2(PRETRAINED, 56, toy=True)


def test_toy_sizes_grow_as_the_real_ones_do():
    counts = [sum(p.numel() for p in build_dinov2(DINOv2Config(size=size), 56).parameters()) for size in TOY_SIZES]
    assert list(TOY_SIZES) == ["B", "L", "G"]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(("size", "millions", "dim"), [("B", 86, 768), ("L", 303, 1024), ("G", 1135, 1536)])
def test_real_models_have_the_published_size_and_shape(size, millions, dim):
    model = build_dinov2(DINOv2Config(checkpoint="lvd142m", size=size), 224, "meta")
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == millions
    depth = len(model.blocks)
    layers = [resolve_dinov2_layer(layer, depth) for layer in ("6", "12", "18", "final")]
    assert layers == [depth // 4, depth // 2, 3 * depth // 4, depth]
    assert depth == REAL_DEPTHS[size]
    tokens = encode_dinov2(model, torch.empty(1, 3, 224, 224, device="meta"), layers)
    assert [tokens[layer].shape for layer in layers] == [(1, 256, dim)] * 4
