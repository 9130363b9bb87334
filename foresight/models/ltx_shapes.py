"""What the toy LTX-Video is made of and how it is pretrained, known without building it. Starts without torch.

The real one has the class defaults of diffusers: a VAE of 419M parameters that makes 128 channels of 32 x 32 pixels and 8
frames, and a transformer of 1.92B. The toy has the same classes. Its VAE has one block and a large patch in place of
downsampling blocks, which learn slowly; a toy with blocks needs many times the minute that this one takes.
"""

from dataclasses import dataclass
from typing import Any

from foresight.config.bridge import TOY_LTX_CAPTION_DIM

# Raise it when the code that pretrains the toy changes what it learns.
TOY_VERSION = 1
TOY_CHANNELS = 48
TOY_LATENT_DIM = 8
TOY_VAE: dict[str, Any] = {
    "latent_channels": TOY_LATENT_DIM, "patch_size": 16, "patch_size_t": 1,
    "block_out_channels": (TOY_CHANNELS,), "decoder_block_out_channels": (TOY_CHANNELS,),
    "down_block_types": ("LTXVideoDownBlock3D",), "downsample_type": ("conv",),
    "layers_per_block": (1, 1), "decoder_layers_per_block": (1, 1), "decoder_inject_noise": (False, False),
    "spatio_temporal_scaling": (False,), "decoder_spatio_temporal_scaling": (False,),
    "upsample_residual": (False,), "upsample_factor": (1,), "timestep_conditioning": False,
}  # fmt: skip
TOY_TRANSFORMER: dict[str, Any] = {
    "in_channels": TOY_LATENT_DIM, "out_channels": TOY_LATENT_DIM, "num_layers": 3, "num_attention_heads": 2,
    "attention_head_dim": 32, "cross_attention_dim": 64, "caption_channels": TOY_LTX_CAPTION_DIM,
}  # fmt: skip


@dataclass(frozen=True)
class ToyRecipe:
    """How the toy learns to draw: first its VAE to copy pictures, then its transformer to draw them from captions."""

    n_pictures: int = 4096
    vae_steps: int = 300
    vae_batch: int = 32
    vae_lr: float = 4e-3
    transformer_steps: int = 400
    transformer_batch: int = 32
    transformer_lr: float = 1e-2
    seed: int = 0


RECIPE = ToyRecipe()
