"""Reconstruction by a frozen LTX-Video: the bridge alone is trained, by flow matching, and judged by what is drawn.

A low flow-matching loss does not show that a picture is right: a toy of 8 x 8 latents had one of .14, and drew right
colours in places of chance. So every test metric is of pictures that were sampled and decoded; the loss stands in the
learning curve only.
Axes: B batch, N images, L latent tokens, D latent channels, T target side in pixels.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from foresight.config import DecoderConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.models.bridge import Bridge, Features
from foresight.models.ltx import LtxDecoder
from foresight.models.ltx_checkpoint import load_parts
from foresight.seeding import seeded_generator
from foresight.train.measure import measure_split, metric_means
from foresight.train.pictures import N_EXAMPLES, picture_strip
from foresight.train.precision import autocast
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import EVAL_BATCH, Evaluation


def image_noise(split: StagedSplit, index: Tensor, latent_shape: tuple[int, int]) -> Tensor:
    """[B, L, D] standard normal noise, of each sample its own and the same in every arm and block.

    Frames of a clip have the same: what flickers then comes from the conditioning.
    """
    hashes = split.sample_hash[index.cpu().numpy() // split.n_frames]
    return torch.stack([torch.randn(latent_shape, generator=seeded_generator(0, "noise", h)) for h in hashes])


class LtxReconstruction(Reconstruction):
    """Trains a bridge in front of a frozen LTX-Video, and measures pictures that the two draw together."""

    def assemble(self, shapes: FeatureShapes) -> Bridge:
        config, conditioner = self.config, self.config.conditioner
        if self.device == "meta":
            return Bridge(conditioner, config.decoder, config.data.target_px, shapes)
        parts = load_parts(config.decoder, self.context.cache, self.device)
        decoder = LtxDecoder(
            config.decoder, conditioner.conditioning_dim, conditioner.queries, config.data.target_px, parts
        )
        return Bridge(conditioner, decoder, config.data.target_px, shapes)

    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        # Keyed by the block, how far it is and the image, so that arms that see the same batches see the same noise, also
        # when a batch is taken in parts.
        drawn = [
            (torch.randn(model.decoder.latent_shape, generator=generator), torch.rand((), generator=generator))
            for generator in (
                seeded_generator(self.config.seed, "flow matching", repr(done_frac), str(row)) for row in index.tolist()
            )
        ]
        noise, sigma = (torch.stack(values) for values in zip(*drawn, strict=True))
        loss = self._flow_matching(model, split, index, noise, sigma).mean()
        return {"loss": loss, "flow_matching": loss}

    @torch.no_grad()
    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        """With the same noise after every epoch, and shares of it that are spread evenly over the images."""
        model.eval()
        noise = image_noise(split, torch.arange(len(split)), model.decoder.latent_shape)
        sigma = (torch.arange(len(split)) + 0.5) / len(split)
        parts = [
            self._flow_matching(model, split, index.to(self.device), noise[index], sigma[index])
            for index in torch.arange(len(split)).split(EVAL_BATCH)
        ]
        loss = torch.cat(parts).mean().item()
        return {"loss": loss, "flow_matching": loss}

    @torch.no_grad()
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        return self._draw(model, split, torch.arange(len(split)))

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        """Of the bridge and one step of the transformer, as a training step has it; a picture takes `sampling_steps`."""
        model.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.condition(one_image)
        n_queries = self.config.conditioner.queries
        return float(counter.get_total_flops()) + _step_flops(
            self.config.decoder, n_queries, self.config.data.target_px
        )

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        assert self.context.lpips is not None
        split, lpips = data.test, self.context.lpips

        def draw(index: Tensor) -> tuple[Tensor, None]:
            return self._draw(model, split, index), None

        def copy(index: Tensor) -> tuple[Tensor, None]:
            return model.decoder.decode(self._latents(model, split)[index]), None

        samples = measure_split(draw, split, "test", lpips, EVAL_BATCH)
        means = metric_means(samples)
        copied = metric_means(measure_split(copy, split, "test", lpips, EVAL_BATCH))
        columns: dict[str, Any] = {f"test/{name}": value for name, value in means.items()}
        columns |= self._baselines(data, list(means))
        columns |= {f"baseline/vae_roundtrip/{name}": value for name, value in copied.items()}
        columns["env/decoder_weights"] = model.decoder.weights
        first = torch.arange(min(N_EXAMPLES, len(split)), device=self.device)
        rows = [split.targets_N3HW[first].float() / 255, copy(first)[0], draw(first)[0]]
        examples_png = picture_strip(rows, caption="Rows: target, copied by the decoder's VAE, drawn by the decoder.")
        return self.add_streams(Evaluation(samples, columns, {"examples": examples_png}, list(means)), model, split)

    def _baselines(self, data: StagedData, metric_names: list[str]) -> dict[str, float]:
        """What predictors that ignore the input score, without the metrics of masks, which this decoder does not draw."""
        scores = self.score_trivial_predictors(data)
        return {name: score for name, score in scores.items() if name.split("/")[-1] in metric_names}

    def _flow_matching(
        self, model: nn.Module, split: StagedSplit, index: Tensor, noise: Tensor, sigma: Tensor
    ) -> Tensor:
        """[B] losses at these shares of this noise."""
        with autocast(self.device, self.config.train.precision):
            conditioning = model.condition(split.features[index])
            return model.decoder.flow_matching_loss(
                self._latents(model, split)[index], noise.to(self.device), sigma.to(self.device), conditioning
            )

    def _draw(self, model: nn.Module, split: StagedSplit, index: Tensor) -> Tensor:
        """[B, 3, T, T] sampled and decoded."""
        model.eval()
        noise = image_noise(split, index, model.decoder.latent_shape).to(self.device)
        with autocast(self.device, self.config.train.precision):
            return model.decoder(model.condition(split.features[index.to(self.device)]), noise)

    def _latents(self, model: nn.Module, split: StagedSplit) -> Tensor:
        """[N, L, D] latents of the targets, encoded once for all trials of this process."""
        name = f"latents by {model.decoder.weights}"
        if name not in split.derived:
            with torch.autocast(torch.device(self.device).type, enabled=False):  # the same wherever it is asked for
                parts = [model.decoder.encode(part.float() / 255) for part in split.targets_N3HW.split(EVAL_BATCH)]
            split.derived[name] = torch.cat(parts)
        return split.derived[name]


@cache
def _step_flops(config: DecoderConfig, n_queries: int, target_px: int) -> float:
    """Of one step of the transformer for one picture, counted on the meta device: a CPU's fused attention is not counted."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        decoder = LtxDecoder(config, config.caption_dim, n_queries, target_px)
        noise, conditioning = torch.empty(1, *decoder.latent_shape), torch.empty(1, n_queries, config.caption_dim)
        decoder.velocity(noise, torch.empty(1), conditioning)
    return float(counter.get_total_flops())
