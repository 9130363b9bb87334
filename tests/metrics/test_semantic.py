import pytest
import torch

from foresight.config import DataConfig, VLMConfig
from foresight.data import load_splits
from foresight.encoders.qwen_vl import build_vlm, encode_vlm
from foresight.metrics import METRICS
from foresight.metrics.semantic import SemanticEncoder, build_semantic_encoder


@pytest.fixture(scope="module")
def encoder() -> SemanticEncoder:
    return build_semantic_encoder(VLMConfig(), build_vlm(VLMConfig()))


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    images = load_splits(DataConfig(n_train=1, n_val=1, n_test=4, image_px=28))["test"]
    return torch.from_numpy(images.targets).float() / 255


def whole(pictures: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(pictures), *pictures.shape[-2:], dtype=torch.bool)


def test_the_toy_vlm_measures_under_a_name_of_its_own(encoder):
    assert encoder.name == "semantic_consistency_toy_vlm"
    assert {encoder.name, "semantic_consistency"} <= set(METRICS)


def test_a_copy_is_seen_as_the_same_and_another_picture_is_not(encoder, pictures):
    copies = encoder(pictures, pictures, whole(pictures), 56)
    assert copies.tolist() == pytest.approx([1] * 4, abs=1e-5)
    others = encoder(pictures.flip(0), pictures, whole(pictures), 56)
    assert (others < copies - 1e-3).all()


def test_it_is_the_cosine_of_the_mean_final_tokens(encoder, pictures):
    large = [
        torch.nn.functional.interpolate(p, size=(56, 56), mode="bilinear", antialias=True)
        for p in (pictures, 1 - pictures)
    ]
    model = build_vlm(VLMConfig())
    a, b = (encode_vlm(model, p, [4])[4].mean(dim=1) for p in large)
    expected = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))
    assert encoder(pictures, 1 - pictures, whole(pictures), 56).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_tokens_of_the_padding_are_left_out(encoder, pictures):
    content = whole(pictures).clone()
    content[:, :, 16:] = False
    seen = encoder(pictures, pictures.flip(0), content, 56)
    assert (seen - encoder(pictures, pictures.flip(0), whole(pictures), 56)).abs().min() > 1e-6


def test_a_picture_too_thin_for_any_token_is_measured_all_the_same(encoder, pictures):
    content = torch.zeros_like(whole(pictures))
    content[:, :, 15:17] = True
    assert encoder(pictures, pictures.flip(0), content, 56).isfinite().all()
