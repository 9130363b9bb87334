import pytest
import torch

from foresight.config import DataConfig, DINOv2Config, TrialConfig, VLMConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm
from foresight.encoders.shapes import (
    TOY_SIZES,
    checkpoint_name,
    dinov2_extraction_flops,
    feature_shapes,
    layer_note,
    resolve_layer,
    vlm_extraction_flops,
    vlm_shape,
)


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
    spatial = encode_dinov2(build_dinov2(dinov2, image_px), pixels)
    assert spatial.shape == (1, shapes.spatial_grid**2, shapes.spatial_dim)


@pytest.mark.parametrize("size", TOY_SIZES)
def test_declared_shapes_of_real_models_are_those_of_the_built_ones(size):
    vlm, dinov2 = VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"), DINOv2Config(checkpoint="lvd142m", size=size)
    shapes = feature_shapes(TrialConfig(data=DataConfig(image_px=224), vlm=vlm, dinov2=dinov2))
    text = build_vlm(vlm, "meta").config.text_config
    assert (vlm_shape(vlm).dim, vlm_shape(vlm).depth) == (text.hidden_size, text.num_hidden_layers)
    assert shapes.vlm_dim == text.hidden_size
    assert shapes.spatial_dim == build_dinov2(dinov2, 224, "meta").embed_dim
    assert (shapes.vlm_grid, shapes.spatial_grid) == (8, 16)


@pytest.mark.parametrize(
    ("depth", "layers"), [(28, (8, 14, 28)), (4, (1, 2, 4)), (36, (10, 18, 36)), (6, (2, 3, 6)), (1, (1, 1, 1))]
)
def test_layers_are_read_at_the_same_share_of_the_depth(depth, layers):
    assert tuple(resolve_layer(layer, depth) for layer in ("8", "14", "final")) == layers


def test_the_note_names_the_layer_that_is_really_read():
    assert layer_note(VLMConfig(layer="14")) == "layer 2 of 4"
    assert layer_note(VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct", layer="14")) == "layer 14 of 28"


def test_checkpoints_are_known_by_timms_names():
    assert checkpoint_name(DINOv2Config(checkpoint="lvd142m", size="G")) == "vit_giant_patch14_dinov2.lvd142m"
    assert checkpoint_name(DINOv2Config(size="G")) == "random"


def test_extraction_costs_as_much_more_as_there_are_views():
    plain, augmented = (
        DataConfig(n_train=8, n_val=1, n_test=1),
        DataConfig(n_train=8, n_val=1, n_test=1, augmentation="mixup", views=2),
    )
    vlm, dinov2 = VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"), DINOv2Config(checkpoint="lvd142m")
    assert vlm_extraction_flops(augmented, vlm) == pytest.approx(2.6 * vlm_extraction_flops(plain, vlm))
    assert dinov2_extraction_flops(augmented, dinov2) == pytest.approx(2.6 * dinov2_extraction_flops(plain, dinov2))
