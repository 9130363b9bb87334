import itertools

import numpy as np
import pytest
import torch

from foresight.config import VLMConfig
from foresight.encoders.qwen_vl import (
    CLIP_MEAN,
    CLIP_STD,
    build_vlm,
    encode_vlm,
    patchify,
    to_pixels,
    without_later_layers,
)

DEPTH = 4  # of the toy model


@pytest.fixture(scope="module")
def vlm():
    return build_vlm(VLMConfig())


def pictures(n: int, px: int = 112) -> torch.Tensor:
    return torch.rand(n, 3, px, px, generator=torch.Generator().manual_seed(n))


class WithoutTokenTypes:
    """The model as it is when nobody tells it which tokens are image tokens."""

    def __init__(self, model):
        self.model, self.visual, self.language_model = model, model.visual, model.language_model
        self.config, self.dtype = model.config, model.dtype

    def __call__(self, mm_token_type_ids, **inputs):
        return self.model(**inputs)


@pytest.mark.parametrize("px", [56, 112])
def test_patch_rows_are_those_of_transformers_own_processor(px):
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    images = np.random.default_rng(px).integers(0, 256, (2, px, px, 3), dtype=np.uint8)
    channels_first = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    expected = Qwen2VLImageProcessor()(images=channels_first, return_tensors="pt")
    rows, grid = patchify(to_pixels(images, "cpu"))
    assert torch.equal(grid, expected["image_grid_thw"])
    assert torch.allclose(rows, expected["pixel_values"], rtol=0, atol=1e-6)


def test_pixels_keep_their_place_and_end_at_one():
    images = np.zeros((1, 28, 28, 3), dtype=np.uint8)
    images[0, 3, 5, 2] = 255
    pixels = to_pixels(images, "cpu")
    assert pixels.shape == (1, 3, 28, 28)
    assert pixels.nonzero().tolist() == [[0, 2, 3, 5]]
    assert pixels.max() == 1


@pytest.mark.parametrize("size", [(42, 42), (56, 60), (60, 56)])
def test_pictures_that_are_not_whole_tokens_are_refused(vlm, size):
    with pytest.raises(ValueError, match="multiple of 28"):
        encode_vlm(vlm, torch.rand(1, 3, *size), [1])


def test_every_layer_gives_one_token_for_each_28_px_cell(vlm):
    for px, n_tokens in ((56, 4), (112, 16)):
        states = encode_vlm(vlm, pictures(2, px), [1, 2, DEPTH])
        assert list(states) == [1, 2, DEPTH]
        assert all(tokens.shape == (2, n_tokens, 64) for tokens in states.values())


def test_a_batch_gives_what_its_pictures_give_alone(vlm):
    batch = pictures(3)
    together = encode_vlm(vlm, batch, [2, DEPTH])
    for row in range(3):
        alone = encode_vlm(vlm, batch[row : row + 1], [2, DEPTH])
        for layer, tokens in alone.items():
            assert torch.allclose(tokens[0], together[layer][row], rtol=0, atol=1e-5)


def test_one_pass_gives_each_layer_its_own_output(vlm):
    blocks, passes = {}, []
    handles = [
        block.register_forward_hook(lambda _, __, output, layer=layer: blocks.update({layer: output}))
        for layer, block in enumerate(vlm.language_model.layers, start=1)
    ]
    handles.append(vlm.visual.register_forward_hook(lambda *_: passes.append(1)))
    try:
        states = encode_vlm(vlm, pictures(2), [1, 2, 3, DEPTH])
    finally:
        for handle in handles:
            handle.remove()
    assert len(passes) == 1
    for layer in (1, 2, 3):  # between the token that starts the picture and the one that ends it
        assert torch.equal(states[layer], blocks[layer][:, 1:-1])
    assert torch.equal(states[DEPTH], vlm.language_model.norm(blocks[DEPTH])[:, 1:-1])


def test_a_model_that_was_first_run_in_part_gives_what_it_gives_whole(vlm):
    """As where its latency is measured, to an early layer, before its features are read in the same process."""
    pixels, part = pictures(2), build_vlm(VLMConfig())
    whole = encode_vlm(vlm, pixels, [1, 2, 4])
    with without_later_layers(part, 2):
        assert torch.equal(encode_vlm(part, pixels, [2])[2], whole[2])
    assert all(torch.equal(tokens, whole[layer]) for layer, tokens in encode_vlm(part, pixels, [1, 2, 4]).items())


@pytest.mark.parametrize("layer", [1, DEPTH])
def test_tokens_are_in_raster_order(vlm, layer):
    blank = torch.full((1, 3, 112, 112), 0.5)
    plain = encode_vlm(vlm, blank, [layer])[layer]
    for cell in range(16):
        row, column = divmod(cell, 4)
        changed = blank.clone()
        changed[:, :, 28 * row : 28 * row + 28, 28 * column : 28 * column + 28] = pictures(1, 28)
        moved = (encode_vlm(vlm, changed, [layer])[layer] - plain).norm(dim=-1)
        assert moved.argmax() == cell


@pytest.mark.parametrize(
    "px", [56, 112, 140, 224]
)  # of windows of 112 px: part of one, one, four with three cut off, four
def test_tokens_before_the_merger_are_those_of_a_convolution_over_the_picture(vlm, monkeypatch, px):
    # Without its blocks the vision tower only embeds patches, which is a convolution, and puts them in window order.
    monkeypatch.setitem(vlm.visual._modules, "blocks", torch.nn.ModuleList())
    tokens = encode_vlm(vlm, pictures(3, px), ["pre_merge"])["pre_merge"]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    kernel = vlm.visual.patch_embed.proj.weight.sum(dim=2)  # a still picture fills both frames
    reference = torch.nn.functional.conv2d((pictures(3, px) - mean) / std, kernel, stride=14)
    assert torch.allclose(tokens, reference.flatten(2).transpose(1, 2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("px", [112, 196])
@pytest.mark.parametrize(("layer", "token_px"), [("pre_merge", 14), ("post_merge", 28)])
def test_tokens_of_the_vision_tower_are_in_raster_order(vlm, layer, token_px, px):
    blank = torch.full((1, 3, px, px), 0.5)
    plain = encode_vlm(vlm, blank, [layer])[layer]
    n = px // token_px
    assert plain.shape[1] == n * n
    for cell in range(0, n * n, 5):
        y, x = (token_px * place for place in divmod(cell, n))
        changed = blank.clone()
        changed[:, :, y : y + token_px, x : x + token_px] = pictures(1, token_px)
        assert (encode_vlm(vlm, changed, [layer])[layer] - plain).norm(dim=-1).argmax() == cell


def test_the_merger_makes_one_token_of_each_2x2(vlm):
    tokens = encode_vlm(vlm, pictures(2, 140), ["pre_merge", "post_merge"])
    cells = tokens["pre_merge"].view(2, 5, 2, 5, 2, 64).transpose(2, 3).reshape(-1, 64)
    assert torch.allclose(vlm.visual.merger(cells).view(2, 25, 64), tokens["post_merge"], rtol=0, atol=1e-5)


def test_the_language_model_starts_from_the_merged_tokens_and_one_pass_gives_all(vlm):
    passes = []
    handle = vlm.visual.register_forward_hook(lambda *_: passes.append(1))
    first = vlm.language_model.layers[0].register_forward_pre_hook(
        lambda _, given, named: passes.append(given[0] if given else named["hidden_states"]), with_kwargs=True
    )
    try:
        together = encode_vlm(vlm, pictures(2), ["post_merge", 2, "pre_merge", DEPTH])
    finally:
        handle.remove(), first.remove()
    assert len(passes) == 2
    assert torch.equal(together["post_merge"], passes[1][:, 1:-1])
    assert list(together) == ["post_merge", 2, "pre_merge", DEPTH]
    assert not vlm.visual._forward_hooks


def test_the_vision_tower_alone_gives_the_same_without_the_language_model(vlm):
    together = encode_vlm(vlm, pictures(2), ["pre_merge", "post_merge", 1])

    def refuse(*_):
        raise AssertionError("the language model was run")

    handle = vlm.language_model.register_forward_pre_hook(refuse)
    try:
        alone = encode_vlm(vlm, pictures(2), ["pre_merge", "post_merge"])
    finally:
        handle.remove()
    assert all(torch.equal(alone[layer], together[layer]) for layer in alone)


def test_tokens_know_their_row_and_column(vlm):
    seen = {}
    handle = vlm.language_model.register_forward_pre_hook(lambda _, __, inputs: seen.update(inputs), with_kwargs=True)
    try:
        encode_vlm(vlm, pictures(2, 84), [1])
    finally:
        handle.remove()
    cells = np.arange(9)
    frames = [0, *[1] * 9, 4]  # the first token, the picture's, and the one after its largest coordinate
    rows = [0, *(1 + cells // 3), 4]
    columns = [0, *(1 + cells % 3), 4]
    assert seen["position_ids"].tolist() == [[frames] * 2, [rows] * 2, [columns] * 2]


def test_tokens_differ_from_those_of_a_model_that_counts_in_one_dimension(vlm):
    ours = encode_vlm(vlm, pictures(1), [DEPTH])[DEPTH]
    counted = encode_vlm(WithoutTokenTypes(vlm), pictures(1), [DEPTH])[DEPTH]
    assert (ours - counted).square().mean().sqrt() > 0.05 * ours.std()


def test_toy_layers_differ_after_standardisation(vlm):
    states = encode_vlm(vlm, pictures(8), ["post_merge", 1, 2, 3, DEPTH])
    standard = {layer: (x - x.mean(dim=(0, 1))) / x.std(dim=(0, 1)) for layer, x in states.items()}
    for first, second in itertools.combinations(standard, 2):  # 0 for equal layers, 1.41 for unrelated ones
        assert (standard[first] - standard[second]).square().mean().sqrt() > 0.25


def test_toy_weights_ignore_the_global_seed_and_leave_it_alone(vlm):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = build_vlm(VLMConfig())
    assert torch.equal(torch.get_rng_state(), state)
    ours = dict(vlm.named_parameters())
    assert all(torch.equal(parameter, ours[name]) for name, parameter in again.named_parameters())


def test_the_model_is_frozen(vlm):
    assert not vlm.training
    assert not any(parameter.requires_grad for parameter in vlm.parameters())


def test_a_saved_model_gives_equal_features(vlm, tmp_path, monkeypatch):
    saved = build_vlm(VLMConfig())
    for parameter in saved.parameters():
        parameter.mul_(1.1)  # so that a model built from the toy seed is noticed
    saved.save_pretrained(tmp_path / "toy-vl")
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    loaded = build_vlm(VLMConfig(checkpoint="org/toy-vl"))
    layers = ["pre_merge", "post_merge", 1, DEPTH]
    ours, theirs = (encode_vlm(model, pictures(2), layers) for model in (saved, loaded))
    assert all(torch.equal(ours[layer], theirs[layer]) for layer in ours)
    assert not torch.equal(theirs[1], encode_vlm(vlm, pictures(2), [1])[1])


def test_the_real_model_has_the_published_size_and_shape():
    real = build_vlm(VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"), "meta")
    assert round(sum(p.numel() for p in real.language_model.parameters()) / 1e9, 2) == 7.07
    assert round(sum(p.numel() for p in real.visual.parameters()) / 1e9, 3) == 0.677
    n = 66  # an 8 x 8 picture between two text tokens
    with torch.no_grad():
        output = real.language_model(
            inputs_embeds=torch.empty(1, n, 3584, device="meta"),
            position_ids=torch.zeros(3, 1, n, dtype=torch.long, device="meta"),
            output_hidden_states=True,
            use_cache=False,
        )
    assert len(output.hidden_states) == 1 + 28
    assert all(states.shape == (1, n, 3584) for states in output.hidden_states)
