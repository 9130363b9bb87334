"""What each encoder hands over, real and toy, known without building it. Starts without torch.

The plan's levels are declared once; at tiny scale each maps to a toy counterpart, and `layer_note` and `size_note` say to
which.
"""

from dataclasses import dataclass
from typing import Any

from foresight.config import PIXELS_PER_VLM_TOKEN, DataConfig, DINOv2Config, TrialConfig, VLMConfig
from foresight.encoders.checkpoints import RANDOM

DINOV2_PATCH_PX = 14
REAL_DEPTH = 28  # Qwen2.5-VL-7B; the plan's layers 8, 14 and final count from it

# Qwen2.5-VL-7B-Instruct as published. The class defaults of transformers are those of the 72B model.
REAL_CONFIG: dict[str, Any] = {
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 3584,
        "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
    },
    "text_config": {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
}  # fmt: skip
# Random layers differ little at the usual initialisation (cosine .93 from layer 0 to 4 at .02), too little for a layer
# factor to matter; 0.15 sets them apart.
TOY_INIT_STD = 0.15
TOY_CONFIG: dict[str, Any] = {
    "vision_config": {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 64,
        "fullatt_block_indexes": [1], "initializer_range": TOY_INIT_STD,
    },
    "text_config": {
        "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "initializer_range": TOY_INIT_STD, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    },
    "image_token_id": 250, "video_token_id": 253, "vision_start_token_id": 251, "vision_end_token_id": 252,
}  # fmt: skip


@dataclass(frozen=True)
class VLMShape:
    """Token channels and number of language-model layers, known without building the model."""

    dim: int
    depth: int


def vlm_shape(config: VLMConfig) -> VLMShape:
    """The declared shape: of the toy model, or of Qwen2.5-VL-7B."""
    text = (TOY_CONFIG if config.checkpoint == RANDOM else REAL_CONFIG)["text_config"]
    return VLMShape(text["hidden_size"], text["num_hidden_layers"])


def resolve_layer(layer: str, depth: int) -> int:
    """The layer to read, counted from 1. The plan's layers are of 28; a shallower model reads at the same share of its depth."""
    return depth if layer == "final" else max(1, round(int(layer) * depth / REAL_DEPTH))


def layer_note(config: VLMConfig) -> str:
    """`layer 2 of 4` for the plan's layer 14 in the toy model."""
    depth = vlm_shape(config).depth
    return f"layer {resolve_layer(config.layer, depth)} of {depth}"


ARCHITECTURES = {
    "B": "vit_base_patch14_dinov2",
    "L": "vit_large_patch14_dinov2",
    "G": "vit_giant_patch14_dinov2",
}
REAL_DIMS = {"B": 768, "L": 1024, "G": 1536}
# Parameters of the published models, for the cost estimate of a plan; measured ones go into the run log.
REAL_DINOV2_PARAMS = {"B": 86e6, "L": 303e6, "G": 1135e6}
REAL_VISION_TOWER_PARAMS, REAL_LANGUAGE_PARAMS = 0.677e9, 7.07e9
# Toy counterparts keep the order of the real sizes: wider and deeper from B to G.
TOY_SIZES: dict[str, dict[str, int]] = {
    "B": {"embed_dim": 48, "depth": 1, "num_heads": 2},
    "L": {"embed_dim": 64, "depth": 2, "num_heads": 2},
    "G": {"embed_dim": 96, "depth": 3, "num_heads": 3},
}


@dataclass(frozen=True)
class DINOv2Shape:
    """Token channels, known without building the model."""

    dim: int


def dinov2_shape(config: DINOv2Config) -> DINOv2Shape:
    """The declared shape: of the toy model, or of the published one."""
    return DINOv2Shape(TOY_SIZES[config.size]["embed_dim"] if config.checkpoint == RANDOM else REAL_DIMS[config.size])


def checkpoint_name(config: DINOv2Config) -> str:
    """timm's name, `vit_large_patch14_dinov2.lvd142m`; `random` for a toy model."""
    return RANDOM if config.checkpoint == RANDOM else f"{ARCHITECTURES[config.size]}.{config.checkpoint}"


def size_note(config: DINOv2Config) -> str:
    """What the size stands for: `toy ViT, 64 channels, 2 layers` or timm's name."""
    if config.checkpoint != RANDOM:
        return checkpoint_name(config)
    toy = TOY_SIZES[config.size]
    return f"toy ViT, {toy['embed_dim']} channels, depth {toy['depth']}"


@dataclass(frozen=True)
class FeatureShapes:
    """What is read: token channels and the side of the square token grid of each stream, both 0 for an unread one."""

    vlm_dim: int
    vlm_grid: int
    spatial_dim: int
    spatial_grid: int


def feature_shapes(config: TrialConfig) -> FeatureShapes:
    """The declared shapes of the streams that a trial reads, for square pictures of `data.image_px`."""
    image_px = config.data.image_px
    vlm = (vlm_shape(config.vlm).dim, image_px // PIXELS_PER_VLM_TOKEN) if config.streams != "dinov2" else (0, 0)
    spatial = (dinov2_shape(config.dinov2).dim, image_px // DINOV2_PATCH_PX) if config.streams != "vlm" else (0, 0)
    return FeatureShapes(*vlm, *spatial)


def vlm_extraction_flops(data: DataConfig, vlm: VLMConfig) -> float:
    """About two operations a parameter and token, for all images; 0 for a toy model, which takes seconds."""
    if vlm.checkpoint == RANDOM:
        return 0.0
    n_tokens = (data.image_px // PIXELS_PER_VLM_TOKEN) ** 2
    per_image = 2 * (REAL_VISION_TOWER_PARAMS * 4 * n_tokens + REAL_LANGUAGE_PARAMS * (n_tokens + 2))
    return per_image * (data.n_train_rows + data.n_val + data.n_test)


def dinov2_extraction_flops(data: DataConfig, dinov2: DINOv2Config) -> float:
    """As `vlm_extraction_flops`, for one DINOv2."""
    if dinov2.checkpoint == RANDOM:
        return 0.0
    n_tokens = (data.image_px // DINOV2_PATCH_PX) ** 2 + 1
    return 2 * REAL_DINOV2_PARAMS[dinov2.size] * n_tokens * (data.n_train_rows + data.n_val + data.n_test)
