import pytest
import torch

from foresight.config import DataConfig, DINOv2Config, TrialConfig, VLMConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm
from foresight.encoders.shapes import (
    REAL_DEPTHS,
    REAL_DIMS,
    TOY_SIZES,
    checkpoint_name,
    dinov2_extraction_flops,
    dinov2_shape,
    feature_shapes,
    layer_note,
    resolve_dinov2_layer,
    resolve_vlm_layer,
    vlm_extraction_flops,
    vlm_shape,
)

REAL_VLM = "Qwen/Qwen2.5-VL-7B-Instruct"


@pytest.mark.parametrize("image_px", [56, 112])
@pytest.mark.parametrize("size", TOY_SIZES)
def test_declared_shapes_are_what_the_encoders_hand_over(size, image_px):
    dinov2 = DINOv2Config(size=size)
    shapes = feature_shapes(TrialConfig(data=DataConfig(image_px=image_px), dinov2=dinov2))
    pixels = torch.rand(1, 3, image_px, image_px)
    vlm = build_vlm(VLMConfig())
    depth = vlm_shape(VLMConfig()).depth
    assert depth == len(vlm.language_model.layers)
    for tokens in encode_vlm(vlm, pixels, list(range(1, depth + 1))).values():
        assert tokens.shape == (1, shapes.vlm_grid**2, shapes.vlm_dim)
    model = build_dinov2(dinov2, image_px)
    assert len(model.blocks) == dinov2_shape(dinov2).depth
    for spatial in encode_dinov2(model, pixels, list(range(1, len(model.blocks) + 1))).values():
        assert spatial.shape == (1, shapes.spatial_grid**2, shapes.spatial_dim)


@pytest.mark.parametrize("layer", ["pre_merge", "post_merge"])
@pytest.mark.parametrize("image_px", [56, 140, 224])
def test_declared_shapes_of_the_vision_tower_are_what_it_hands_over(layer, image_px):
    shapes = feature_shapes(TrialConfig(data=DataConfig(image_px=image_px), vlm=VLMConfig(layer=layer)))
    tokens = encode_vlm(build_vlm(VLMConfig()), torch.rand(2, 3, image_px, image_px), [layer])[layer]
    assert tokens.shape == (2, shapes.vlm_grid**2, shapes.vlm_dim)


@pytest.mark.parametrize("layer", ["pre_merge", "post_merge"])
def test_declared_shapes_of_the_real_vision_tower(layer):
    vlm = VLMConfig(checkpoint=REAL_VLM, layer=layer)
    shapes = feature_shapes(TrialConfig(data=DataConfig(image_px=224), vlm=vlm))
    assert (shapes.vlm_grid, shapes.vlm_dim) == {"pre_merge": (16, 1280), "post_merge": (8, 3584)}[layer]
    config = build_vlm(vlm, "meta").config.vision_config
    assert shapes.vlm_dim == {"pre_merge": config.hidden_size, "post_merge": config.out_hidden_size}[layer]


@pytest.mark.parametrize("size", TOY_SIZES)
def test_declared_shapes_of_real_models_are_those_of_the_built_ones(size):
    vlm, dinov2 = VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"), DINOv2Config(checkpoint="lvd142m", size=size)
    shapes = feature_shapes(TrialConfig(data=DataConfig(image_px=224), vlm=vlm, dinov2=dinov2))
    text = build_vlm(vlm, "meta").config.text_config
    assert (vlm_shape(vlm).dim, vlm_shape(vlm).depth) == (text.hidden_size, text.num_hidden_layers)
    assert shapes.vlm_dim == text.hidden_size
    model = build_dinov2(dinov2, 224, "meta")
    assert shapes.spatial_dim == REAL_DIMS[size] == model.embed_dim
    assert len(model.blocks) == REAL_DEPTHS[size]
    assert (shapes.vlm_grid, shapes.spatial_grid) == (8, 16)


@pytest.mark.parametrize(
    ("depth", "layers"), [(28, (8, 14, 28)), (4, (1, 2, 4)), (36, (10, 18, 36)), (6, (2, 3, 6)), (1, (1, 1, 1))]
)
def test_layers_are_read_at_the_same_share_of_the_depth(depth, layers):
    assert tuple(resolve_vlm_layer(layer, depth) for layer in ("8", "14", "final")) == layers


def test_the_vision_tower_is_read_whatever_the_depth():
    assert [resolve_vlm_layer(layer, 4) for layer in ("pre_merge", "post_merge")] == ["pre_merge", "post_merge"]


@pytest.mark.parametrize(
    ("depth", "layers"),
    [(24, (6, 12, 18, 24)), (12, (3, 6, 9, 12)), (40, (10, 20, 30, 40)), (2, (1, 1, 2, 2)), (1, (1, 1, 1, 1))],
)
def test_layers_of_dinov2_are_read_at_the_same_share_of_the_depth(depth, layers):
    assert tuple(resolve_dinov2_layer(layer, depth) for layer in ("6", "12", "18", "final")) == layers


def test_the_note_names_the_layer_that_is_really_read():
    assert layer_note(VLMConfig(layer="14")) == "layer 2 of 4"
    assert layer_note(VLMConfig(checkpoint=REAL_VLM, layer="14")) == "layer 14 of 28"
    assert layer_note(DINOv2Config(layer="12")) == "layer 1 of 2"
    assert layer_note(DINOv2Config(checkpoint="lvd142m", size="G", layer="12")) == "layer 20 of 40"
    assert layer_note(VLMConfig(layer="pre_merge")) == "vision tower, 14 px a token"
    assert layer_note(VLMConfig(layer="post_merge")) == "vision tower, 28 px a token"


def test_checkpoints_are_known_by_timms_names():
    assert checkpoint_name(DINOv2Config(checkpoint="lvd142m", size="G")) == "vit_giant_patch14_dinov2.lvd142m"
    assert checkpoint_name(DINOv2Config(size="G")) == "random"


def test_extraction_costs_as_much_more_as_there_are_views():
    plain, augmented = (
        DataConfig(n_train=8, n_val=1, n_test=1),
        DataConfig(n_train=8, n_val=1, n_test=1, augmentation="mixup", views=2),
    )
    vlm, dinov2 = [VLMConfig(checkpoint=REAL_VLM)], [DINOv2Config(checkpoint="lvd142m")]
    assert vlm_extraction_flops(augmented, vlm) == pytest.approx(2.6 * vlm_extraction_flops(plain, vlm))
    assert dinov2_extraction_flops(augmented, dinov2) == pytest.approx(2.6 * dinov2_extraction_flops(plain, dinov2))


def test_extraction_is_estimated_by_what_one_pass_must_run():
    data = DataConfig(n_train=8, n_val=1, n_test=1, image_px=224)

    def vlm(*layers: str) -> float:
        return vlm_extraction_flops(data, [VLMConfig(checkpoint=REAL_VLM, layer=layer) for layer in layers])

    def dinov2(*layers: str) -> float:
        return dinov2_extraction_flops(data, [DINOv2Config(checkpoint="lvd142m", layer=layer) for layer in layers])

    # 10 pictures of 256 patches through 0.677 G parameters, and of 64 tokens and two more through 7.07 G.
    assert vlm("pre_merge", "post_merge") == pytest.approx(10 * 2 * 0.677e9 * 256)
    assert vlm("8") == vlm("pre_merge", "8", "final") == pytest.approx(10 * 2 * (0.677e9 * 256 + 7.07e9 * 66))
    assert dinov2("final") == dinov2("6", "final") == pytest.approx(10 * 2 * 303e6 * 257)
    assert dinov2("6", "12") == pytest.approx(dinov2("final") / 2)
    assert vlm_extraction_flops(data, [VLMConfig()]) == dinov2_extraction_flops(data, [DINOv2Config()]) == 0
