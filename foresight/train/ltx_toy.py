"""Pretrains the toy LTX-Video, once a machine: its VAE on pictures, then its transformer on captions of what they show.

A random video decoder draws noise whatever it is told, so nothing could be learnt by conditioning one. The captions are
five tokens, each another random mix of what is known of a picture: shape and colour as random vectors, place and size
as sine codes. They play the part of the text that LTX-Video was trained on, and no bridge ever sees them. With one
attribute a token, twice the steps gave less (picture IoU .57 against .79): a latent must know all of them at once.
Axes: N pictures, B batch, L latent tokens, D latent channels, C channels of a caption token.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import TOY_LTX, DecoderConfig
from foresight.config.bridge import TOY_LTX_CAPTION_DIM, TOY_LTX_WORLD
from foresight.data.canvas import COLOURS, SHAPES
from foresight.data.shapes import Drawings, plan_drawings, render
from foresight.models.ltx import LtxDecoder
from foresight.models.ltx_checkpoint import untrained_parts
from foresight.models.ltx_shapes import ToyRecipe
from foresight.seeding import seeded_generator

L1_WEIGHT = 0.1
CAPTION_TOKENS = 5
CYCLES = (0.5, 1.0)  # of a sine code, a picture side: least and most; finer codes were learnt more slowly
ENCODED_AT_ONCE = 256


def pretrain_toy(recipe: ToyRecipe, folder: Path) -> None:
    """Writes `vae`, `transformer` and `scheduler` as a checkpoint of diffusers' layout. One thread, a fixed seed.

    The pictures are of a split of their own, so no trial trains or is tested on them.
    """
    name, target_px = TOY_LTX_WORLD
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # another number of threads moves last digits
    try:
        drawings = plan_drawings(recipe.seed, "pretraining", recipe.n_pictures, name)
        pictures_N3TT = torch.from_numpy(render(drawings, target_px)).permute(0, 3, 1, 2).contiguous()
        parts = untrained_parts(TOY_LTX)
        train_vae(parts.vae, pictures_N3TT, recipe)
        decoder = LtxDecoder(DecoderConfig(name="ltx"), TOY_LTX_CAPTION_DIM, CAPTION_TOKENS, target_px, parts)
        train_transformer(decoder, pictures_N3TT, write_captions(drawings, recipe.seed), recipe)
    finally:
        torch.set_num_threads(n_threads)
    for part, module in (("vae", parts.vae), ("transformer", parts.transformer), ("scheduler", parts.scheduler)):
        module.save_pretrained(folder / part)


def train_vae(vae: Any, pictures_N3TT: Tensor, recipe: ToyRecipe) -> None:
    """Trains the VAE to copy pictures (uint8) through the mode of its posterior, and sets its latents' scale from them."""

    def compute_loss(index: Tensor, generator: torch.Generator) -> Tensor:
        videos = pictures_N3TT[index].float()[:, :, None] / 127.5 - 1
        copies = vae.decode(vae.encode(videos).latent_dist.mode()).sample
        return F.mse_loss(copies, videos) + L1_WEIGHT * F.l1_loss(copies, videos)

    n = len(pictures_N3TT)
    _train(vae, compute_loss, n, recipe.vae_steps, recipe.vae_batch, recipe.vae_lr, (recipe.seed, "vae"))
    with torch.no_grad():
        parts = pictures_N3TT.split(ENCODED_AT_ONCE)
        latents = torch.cat([vae.encode(p.float()[:, :, None] / 127.5 - 1).latent_dist.mode() for p in parts])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))


def train_transformer(decoder: LtxDecoder, pictures_N3TT: Tensor, captions_NQC: Tensor, recipe: ToyRecipe) -> None:
    """Trains the decoder's transformer by flow matching to draw the pictures (uint8) from their captions."""
    parts = pictures_N3TT.split(ENCODED_AT_ONCE)
    latents_NLD = torch.cat([decoder.encode(part.float() / 255) for part in parts])

    def compute_loss(index: Tensor, generator: torch.Generator) -> Tensor:
        latents_BLD = latents_NLD[index]
        noise_BLD = torch.randn(latents_BLD.shape, generator=generator)
        sigma_B = torch.rand(len(index), generator=generator)
        return decoder.flow_matching_loss(latents_BLD, noise_BLD, sigma_B, captions_NQC[index]).mean()

    n, steps, batch = len(latents_NLD), recipe.transformer_steps, recipe.transformer_batch
    _train(decoder.transformer, compute_loss, n, steps, batch, recipe.transformer_lr, (recipe.seed, "transformer"))


def write_captions(drawings: Drawings, seed: int) -> Tensor:
    """[N, 5, C] tokens that say what each picture shows, about standard normal."""
    C = TOY_LTX_CAPTION_DIM
    generator = seeded_generator(seed, "captions")
    shapes, colours = (torch.randn(len(names), C, generator=generator) for names in (SHAPES, COLOURS))
    cycles = torch.linspace(*CYCLES, C // 2)
    mix = torch.randn(CAPTION_TOKENS, 5 * C, C, generator=generator) * (5 * C) ** -0.5

    def code(values: Any) -> Tensor:
        phase = 2 * math.pi * torch.from_numpy(values)[:, None] * cycles
        return math.sqrt(2) * torch.cat([phase.sin(), phase.cos()], dim=-1)

    known = [shapes[torch.from_numpy(drawings.shape)], colours[torch.from_numpy(drawings.colour)]]
    known += [code(drawings.x), code(drawings.y), code(drawings.half)]
    return torch.einsum("nk,qkc->nqc", torch.cat(known, dim=-1), mix)


def _train(
    module: nn.Module,
    compute_loss: Callable[[Tensor, torch.Generator], Tensor],
    n: int,
    n_steps: int,
    batch: int,
    lr: float,
    key: tuple[int, str],
) -> None:
    """Trains with AdamW and one cycle of the learning rate, then freezes; batches and noise are drawn from the key."""
    generator = seeded_generator(key[0], "ltx toy", key[1])
    module.requires_grad_(True)
    optimiser = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=n_steps)
    for _ in range(n_steps):
        loss = compute_loss(torch.randint(0, n, (batch,), generator=generator), generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    module.requires_grad_(False)
