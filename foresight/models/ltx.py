"""LTX-Video as the decoder (HaCohen et al. 2024): frozen, and conditioned by the bridge in the place of its text encoder.

Training is flow matching (Lipman et al. 2023): on the line from a picture's latents to noise, the transformer predicts the
noise minus the latents, and the gradient of its error passes through it to the conditioning tokens. A picture is drawn
from noise in steps along that line, and the VAE turns its latents into pixels.
Axes: B batch, Q conditioning tokens, C their channels, L latent tokens, D latent channels, T target side in pixels.
"""

import numpy as np
import torch
from torch import Tensor, nn

from foresight.config import DecoderConfig
from foresight.errors import RequestError
from foresight.models.ltx_checkpoint import LtxParts, untrained_parts

FRAME_RATE = 25  # frames a second that the places of tokens are told for; a picture is a video of one frame
TIMESTEPS = 1000  # the transformer reads the share of noise in units of this


class LtxDecoder(nn.Module):
    """Conditioning tokens to pictures by a frozen video transformer and VAE. `parts` None: untrained ones of its shape.

    Raises RequestError when the transformer reads tokens of another number of channels.
    """

    def __init__(
        self,
        config: DecoderConfig,
        conditioning_dim: int,
        n_queries: int,
        target_px: int,
        parts: LtxParts | None = None,
    ):
        super().__init__()
        parts = parts or untrained_parts(config.checkpoint)
        self.vae, self.transformer, self.weights = parts.vae, parts.transformer, parts.weights
        caption_dim = self.transformer.config.caption_channels
        if caption_dim != conditioning_dim:
            raise RequestError(
                f"the transformer of '{config.checkpoint}' reads tokens of {caption_dim} channels, so conditioning_dim "
                f"must be {caption_dim}, not {conditioning_dim}"
            )
        self.side = target_px // self.vae.spatial_compression_ratio
        self.latent_shape = (self.side**2, self.transformer.config.in_channels)
        self.sigmas = _sampling_sigmas(parts.scheduler, config.sampling_steps, self.side**2)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "LtxDecoder":
        """Stays as it is in evaluation: it is frozen."""
        return super().train(False)

    def forward(self, conditioning_BQC: Tensor, noise_BLD: Tensor | None = None) -> Tensor:
        """[B, 3, T, T] pictures in [0, 1], drawn from `noise_BLD`; None: from the same noise for every picture."""
        if noise_BLD is None:
            noise_LD = torch.randn(self.latent_shape, generator=torch.Generator().manual_seed(0), device="cpu")
            noise_BLD = noise_LD.to(conditioning_BQC.device).expand(len(conditioning_BQC), -1, -1)
        return self.decode(self.sample(conditioning_BQC, noise_BLD))

    @torch.no_grad()
    def encode(self, pictures_B3TT: Tensor) -> Tensor:
        """[B, L, D] latents of pictures in [0, 1], about standard normal over the VAE's own training data.

        The posterior's mode: drawn from it, latents of one picture would differ by noise from one epoch to the next.
        """
        from diffusers import LTXPipeline

        videos = (pictures_B3TT * 2 - 1)[:, :, None].to(self.vae.dtype)
        latents = self.vae.encode(videos).latent_dist.mode().float()
        latents = LTXPipeline._normalize_latents(latents, *self._latent_scale())
        return LTXPipeline._pack_latents(latents, *self._patches())

    @torch.no_grad()
    def decode(self, latents_BLD: Tensor) -> Tensor:
        """[B, 3, T, T] pictures in [0, 1]."""
        from diffusers import LTXPipeline

        latents = LTXPipeline._unpack_latents(latents_BLD, 1, self.side, self.side, *self._patches())
        latents = LTXPipeline._denormalize_latents(latents, *self._latent_scale()).to(self.vae.dtype)
        # A VAE that removes the last noise itself is told that there is none.
        conditioned = self.vae.config.timestep_conditioning
        noise_share_B = torch.zeros(len(latents), dtype=latents.dtype, device=latents.device) if conditioned else None
        videos = self.vae.decode(latents, noise_share_B, return_dict=False)[0]
        return (videos[:, :, 0].float() / 2 + 0.5).clamp(0, 1)

    def velocity(self, noisy_BLD: Tensor, sigma_B: Tensor, conditioning_BQC: Tensor) -> Tensor:
        """[B, L, D] predicted noise minus latents, where a share `sigma_B` in [0, 1] of `noisy_BLD` is noise."""
        pixels = self.vae.spatial_compression_ratio
        velocity = self.transformer(
            hidden_states=noisy_BLD.to(self.transformer.dtype),
            encoder_hidden_states=conditioning_BQC.to(self.transformer.dtype),
            timestep=sigma_B * TIMESTEPS,
            encoder_attention_mask=torch.ones(conditioning_BQC.shape[:2], device=conditioning_BQC.device),
            num_frames=1,
            height=self.side,
            width=self.side,
            rope_interpolation_scale=(self.vae.temporal_compression_ratio / FRAME_RATE, pixels, pixels),
            return_dict=False,
        )[0]
        return velocity.float()

    def flow_matching_loss(
        self, latents_BLD: Tensor, noise_BLD: Tensor, sigma_B: Tensor, conditioning_BQC: Tensor
    ) -> Tensor:
        """[B] mean squared errors of the velocity at the share `sigma_B` of the way from the latents to the noise."""
        sigma_B11 = sigma_B[:, None, None]
        noisy_BLD = (1 - sigma_B11) * latents_BLD + sigma_B11 * noise_BLD
        error_BLD = self.velocity(noisy_BLD, sigma_B, conditioning_BQC) - (noise_BLD - latents_BLD)
        return error_BLD.square().mean(dim=(1, 2))

    @torch.no_grad()
    def sample(self, conditioning_BQC: Tensor, noise_BLD: Tensor) -> Tensor:
        """[B, L, D] latents drawn from noise by Euler steps, equal to those of diffusers' LTXPipeline without guidance.

        Guidance would need the conditioning of no picture, which a bridge has never learnt.
        """
        latents_BLD = noise_BLD
        for sigma, following in zip(self.sigmas, self.sigmas[1:], strict=False):
            sigma_B = torch.full((len(latents_BLD),), sigma, device=latents_BLD.device)
            latents_BLD = latents_BLD + (following - sigma) * self.velocity(latents_BLD, sigma_B, conditioning_BQC)
        return latents_BLD

    def _latent_scale(self) -> tuple[Tensor, Tensor, float]:
        return self.vae.latents_mean, self.vae.latents_std, self.vae.config.scaling_factor

    def _patches(self) -> tuple[int, int]:
        return self.transformer.config.patch_size, self.transformer.config.patch_size_t


def _sampling_sigmas(scheduler, n_steps: int, n_latents: int) -> list[float]:
    """Shares of noise from 1 to 0, `n_steps` + 1 of them, shifted for the number of latents as LTXPipeline does."""
    from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift

    config = scheduler.config
    shift = calculate_shift(
        n_latents,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / n_steps, n_steps), mu=shift)
    return scheduler.sigmas.tolist()
