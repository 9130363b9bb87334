import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXPipeline

from foresight.config import TOY_LTX, DecoderConfig
from foresight.errors import RequestError
from foresight.models.ltx import LtxDecoder
from foresight.models.ltx_checkpoint import LtxParts, load_parts, untrained_parts

# As published for LTX-Video: the sampling shares depend on the number of latents and end away from 0.
PUBLISHED_SCHEDULE = {
    "use_dynamic_shifting": True, "base_shift": 0.95, "max_shift": 2.05, "base_image_seq_len": 1024,
    "max_image_seq_len": 4096, "shift_terminal": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def parts() -> LtxParts:
    """Of the toy, untrained, with a latent scale that is not the default."""
    parts = untrained_parts(TOY_LTX)
    parts.vae.latents_mean.copy_(torch.linspace(-0.5, 0.5, len(parts.vae.latents_mean)))
    parts.vae.latents_std.copy_(torch.linspace(0.5, 2, len(parts.vae.latents_std)))
    return parts


def build(parts: LtxParts, steps: int = 4) -> LtxDecoder:
    return LtxDecoder(DecoderConfig(name="ltx", sampling_steps=steps), 64, 6, 64, parts)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("schedule", [{}, PUBLISHED_SCHEDULE], ids=["plain", "published"])
@pytest.mark.parametrize("steps", [2, 5])
def test_pictures_are_those_of_the_published_pipeline(parts, schedule, steps):
    scheduler = FlowMatchEulerDiscreteScheduler(**schedule)
    decoder = build(LtxParts(parts.vae, parts.transformer, scheduler, "x"), steps)
    conditioning, noise = normal(2, 6, 64), normal(2, *decoder.latent_shape, seed=1)
    pipeline = LTXPipeline(scheduler, parts.vae, text_encoder=None, tokenizer=None, transformer=parts.transformer)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt_embeds=conditioning, prompt_attention_mask=torch.ones(2, 6), latents=noise, guidance_scale=1.0,
        height=64, width=64, num_frames=1, num_inference_steps=steps, output_type="pt",
    ).frames  # fmt: skip
    pictures = decoder(conditioning, noise)
    assert pictures.shape == (2, 3, 64, 64)
    assert torch.equal(pictures, expected[:, 0])
    assert pictures.std() > 0.01


def test_shares_of_noise_fall_from_all_to_none(parts):
    assert build(parts, 4).sigmas == [1, 0.75, 0.5, 0.25, 0]


def test_latents_are_the_scaled_mode_and_come_back_as_the_copy_of_the_vae(parts):
    decoder, pictures = build(parts), normal(3, 3, 64, 64).sigmoid()
    latents = decoder.encode(pictures)
    with torch.no_grad():
        mode = parts.vae.encode((2 * pictures - 1)[:, :, None]).latent_dist.mode()
        copy = parts.vae.decode(mode).sample[:, :, 0]
    assert latents.shape == (3, *decoder.latent_shape)
    scaled = (mode[:, :, 0] - parts.vae.latents_mean[:, None, None]) / parts.vae.latents_std[:, None, None]
    assert torch.allclose(latents, scaled.flatten(2).transpose(1, 2), atol=1e-5)
    assert torch.allclose(decoder.decode(latents), (copy / 2 + 0.5).clamp(0, 1), atol=1e-5)


def test_the_loss_is_that_of_the_straight_line_by_hand(parts, monkeypatch):
    decoder, latents, noise = build(parts), normal(2, 16, 8), normal(2, 16, 8, seed=1)
    seen = []
    monkeypatch.setattr(decoder, "velocity", lambda x, sigma, c: seen.append((x, sigma)) or torch.zeros_like(x))
    loss = decoder.flow_matching_loss(latents, noise, torch.tensor([0.0, 0.25]), normal(2, 6, 64))
    assert torch.equal(seen[0][0], torch.stack([latents[0], 0.75 * latents[1] + 0.25 * noise[1]]))
    assert torch.allclose(loss, (noise - latents).square().mean(dim=(1, 2)))


def test_the_gradient_reaches_the_tokens_and_no_weight(parts):
    decoder, conditioning = build(parts), normal(2, 6, 64).requires_grad_()
    decoder.train()
    assert not any(module.training for module in decoder.modules())
    decoder.flow_matching_loss(normal(2, 16, 8), normal(2, 16, 8, seed=1), torch.rand(2), conditioning).sum().backward()
    assert (conditioning.grad != 0).any(dim=-1).all()
    assert all(p.grad is None and not p.requires_grad for p in decoder.parameters())


def test_without_noise_every_picture_starts_from_the_same(parts):
    pictures = build(parts)(normal(1, 6, 64).expand(2, -1, -1))
    assert torch.allclose(pictures[0], pictures[1], atol=1e-6)


def test_tokens_of_another_width_are_refused(parts):
    with pytest.raises(RequestError, match="reads tokens of 64 channels, so conditioning_dim must be 64, not 32"):
        LtxDecoder(DecoderConfig(name="ltx"), 32, 6, 64, parts)


def test_untrained_weights_are_the_same_every_time_and_leave_the_generator_alone(parts):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    again = untrained_parts(TOY_LTX).transformer
    assert torch.rand(1) == expected
    assert torch.get_default_dtype() == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(parts.transformer.parameters(), again.parameters(), strict=True))


def test_a_local_checkpoint_is_read_in_half_precision_with_its_own_schedule(parts, tmp_path, monkeypatch):
    scheduler = FlowMatchEulerDiscreteScheduler(**PUBLISHED_SCHEDULE)
    for name, part in (("vae", parts.vae), ("transformer", parts.transformer), ("scheduler", scheduler)):
        part.save_pretrained(tmp_path / "an-ltx" / name)
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    config = DecoderConfig(name="ltx", checkpoint="acme/an-ltx")
    loaded = load_parts(config, None, "cpu")
    assert load_parts(config, None, "cpu") is loaded
    assert torch.equal(loaded.transformer.proj_in.weight, parts.transformer.proj_in.weight.bfloat16())
    assert {p.dtype for p in (*loaded.transformer.parameters(), *loaded.vae.parameters())} == {torch.bfloat16}
    assert torch.allclose(loaded.vae.latents_std.float(), parts.vae.latents_std, atol=0.01)
    assert len(loaded.weights) == 16
    decoder = LtxDecoder(config, 64, 6, 64, loaded)
    assert decoder.sigmas[-2] == pytest.approx(0.1)
    pictures = decoder(normal(2, 6, 64), normal(2, *decoder.latent_shape))
    assert pictures.dtype == torch.float32
    assert pictures.isfinite().all()
    with pytest.raises(RequestError, match="conditioning_dim must be 64, not 4096"):
        LtxDecoder(config, 4096, 6, 64, loaded)
    control = load_parts(config.model_copy(update={"pretrained": False}), None, "cpu")
    assert control.weights == f"{loaded.weights}, transformer random seed 0"
    assert control.transformer.config.num_layers == parts.transformer.config.num_layers


def test_the_real_size_and_shapes_are_those_published():
    with torch.device("meta"), torch.no_grad():
        config = DecoderConfig(name="ltx", checkpoint="Lightricks/LTX-Video", sampling_steps=2)
        decoder = LtxDecoder(config, 4096, 77, 224)
        sizes = [sum(p.numel() for p in part.parameters()) for part in (decoder.transformer, decoder.vae)]
        assert sizes == [1_923_385_472, 419_193_649]
        assert {p.dtype for p in decoder.parameters()} == {torch.bfloat16}
        assert decoder.latent_shape == (49, 128)
        assert decoder.encode(torch.empty(2, 3, 224, 224)).shape == (2, 49, 128)
        assert decoder(torch.empty(2, 77, 4096)).shape == (2, 3, 224, 224)
