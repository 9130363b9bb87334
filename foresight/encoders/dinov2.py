"""DINOv2 as a frozen encoder: normed patch tokens of its layers, by timm.

Axes: B batch, S spatial tokens (raster order), C channels. A picture of P pixels gives S = (P / 14)^2 tokens.
"""

from typing import Any

import torch
from torch import Tensor, nn

from foresight.config import DINOv2Config
from foresight.encoders.checkpoints import RANDOM, local_checkpoint
from foresight.encoders.shapes import ARCHITECTURES, TOY_SIZES, checkpoint_name

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PATCH_PX = 14


def build_dinov2(config: DINOv2Config, image_px: int, device: str = "cpu", toy: bool | None = None) -> nn.Module:
    """The frozen model by timm's factory, at toy size and seeded, or pretrained with its positions resampled to `image_px`.

    `toy` shrinks the architecture; by default exactly when the checkpoint is `random`. A local file
    `$FORESIGHT_CHECKPOINTS/<timm name>.safetensors` is read in place of a download.
    """
    import timm

    shrink = config.checkpoint == RANDOM if toy is None else toy
    arguments: dict[str, Any] = {"img_size": image_px, "num_classes": 0, "dynamic_img_size": True}
    if shrink:
        # DINOv2 starts LayerScale at 1e-5, so a randomly initialised model would be the identity.
        arguments |= {**TOY_SIZES[config.size], "init_values": 1.0}
    if config.checkpoint == RANDOM or device == "meta":
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(0)
            model = timm.create_model(f"{ARCHITECTURES[config.size]}.lvd142m", pretrained=False, **arguments)
    else:
        name = checkpoint_name(config)
        file = local_checkpoint(name)
        if file is not None:
            arguments["pretrained_cfg_overlay"] = {"file": str(file)}
        model = timm.create_model(name, pretrained=True, **arguments).to(device)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def encode_dinov2(model: Any, pixels_B3PP: Tensor, layers: list[int]) -> dict[int, Tensor]:
    """{layer: [B, S, C]} patch tokens after each of `layers` (1 to depth) and the model's last norm.

    One pass up to the deepest serves them all. Class and register tokens are dropped. Raises ValueError unless P is a
    multiple of 14.
    """
    if pixels_B3PP.shape[-1] % PATCH_PX:
        raise ValueError(f"pictures must be a multiple of {PATCH_PX} px, got {pixels_B3PP.shape[-1]}")
    mean = torch.tensor(IMAGENET_MEAN, device=pixels_B3PP.device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=pixels_B3PP.device).view(3, 1, 1)
    ascending = sorted(set(layers))
    tokens = model.forward_intermediates(
        (pixels_B3PP - mean) / std,
        indices=[layer - 1 for layer in ascending],
        norm=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    return {layer: tokens_BSC.float() for layer, tokens_BSC in zip(ascending, tokens, strict=True)}
