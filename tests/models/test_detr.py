import itertools

import pytest
import torch
from bridge_inputs import SHAPES, features, half_valid
from torch import Tensor

from foresight.config import DetectorConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models import detr
from foresight.models.bridge import Features
from foresight.models.denoising import N_GROUPS, noise_objects
from foresight.models.detector import Detector
from foresight.models.detr import SIZE_ENCODINGS, START_SIZE, Detections, Detr, PlacedTokens, class_probs, decode_boxes
from foresight.models.initialise import initialise
from foresight.models.position import grid_centres

N_CLASSES = 5
BASE = {"width": 16, "heads": 2, "feedforward": 24, "n_queries": 6}
VARIANTS = [
    {"box_encoding": encoding, "reference_points": reference, "class_loss": loss, "denoising": denoising}
    for encoding, reference, loss, denoising in itertools.product(
        SIZE_ENCODINGS, ("grid", "learned"), ("cross_entropy", "focal"), (False, True)
    )
]


def config(**fields) -> DetectorConfig:
    return DetectorConfig(**(BASE | fields))


def head(seed: int = 0, **fields) -> Detr:
    model = Detr(config(**fields), [10], N_CLASSES)
    initialise(model, seed)
    return model.eval()


def placed(n: int = 3, grid: int = 4, seed: int = 0, valid_BN: Tensor | None = None) -> PlacedTokens:
    tokens = torch.randn(n, grid * grid, 10, generator=torch.Generator().manual_seed(seed))
    return PlacedTokens(tokens, grid_centres(grid, grid), valid_BN)


def noised(n: int = 3):
    boxes = torch.tensor([[0.3, 0.4, 0.2, 0.2], [0.7, 0.6, 0.3, 0.1]]).expand(n, -1, -1)
    classes = torch.tensor([[1, 2]]).repeat(n, 1)
    classes[0, 1] = -1
    return noise_objects(boxes, classes, N_CLASSES, torch.Generator().manual_seed(0))


def equal(first: Detections, second: Detections, atol: float = 1e-5) -> bool:
    return all(torch.allclose(a, b, atol=atol) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
def test_every_variant_gives_boxes_and_uses_every_parameter(variant):
    model = head(**variant)
    logits, boxes = model([placed()], noised() if variant["denoising"] else None)
    n = 6 + (2 * N_GROUPS if variant["denoising"] else 0)
    assert logits.shape == (2, 3, n, N_CLASSES + (variant["class_loss"] == "cross_entropy"))
    assert boxes.shape == (2, 3, n, 4)
    assert (boxes > 0).all()
    (logits.square().sum() + boxes.square().sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("encoding", SIZE_ENCODINGS)
def test_a_box_starts_where_its_query_stands_in_the_same_size_whatever_the_encoding(encoding):
    start = torch.tensor([[[0.1, 0.8]]])
    box = decode_boxes(torch.zeros(1, 1, 4), start, encoding)
    assert box.flatten().tolist() == pytest.approx([0.1, 0.8, START_SIZE, START_SIZE], abs=1e-6)


@pytest.mark.parametrize("encoding", SIZE_ENCODINGS)
@pytest.mark.parametrize("raw", [-6.0, 3.0])
def test_a_box_of_any_size_can_still_grow_and_shrink(encoding, raw):
    raw_box = torch.full((1, 1, 4), raw, requires_grad=True)
    decode_boxes(raw_box, torch.full((1, 1, 2), 0.5), encoding)[..., 2:].sum().backward()
    assert (raw_box.grad[..., 2:] > 1e-4).all()


def test_only_the_sigmoid_ends_at_the_whole_picture():
    widest = {
        name: decode_boxes(torch.full((1, 1, 4), 9.0), torch.full((1, 1, 2), 0.5), name)[0, 0, 2].item()
        for name in SIZE_ENCODINGS
    }
    assert widest["sigmoid"] <= 1 < widest["softplus"] < widest["log"]


def test_the_places_of_tokens_matter_through_the_code_alone():
    model = head(reference_points="learned")
    tokens = placed()
    moved = tokens._replace(xy_N2=tokens.xy_N2.flip(0))
    assert not equal(model([tokens]), model([moved]), atol=1e-3)


def test_tokens_in_another_order_with_their_places_are_the_same_picture():
    model, tokens = head(), placed()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    shuffled = PlacedTokens(tokens.tokens_BNC[:, order], tokens.xy_N2[order])
    assert equal(model([tokens]), model([shuffled]))


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_code_is_added_in_every_layer(part):
    """Each layer alone, given the same contents, answers otherwise when the places change."""
    model = head(encoder_layers=2, decoder_layers=2)
    tokens = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0))
    code = detr.sine_code(grid_centres(4, 4), 16)
    queries = model._queries(1, None)
    far = torch.zeros(1, 6, 16)  # the locality bias left out
    for layer in getattr(model, part):
        if part == "encoder":
            plain, moved = (layer(tokens, c, None) for c in (code, code.flip(0)))
        else:
            content = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(2))
            plain, moved = (layer(content, queries, tokens, c, None, far) for c in (code, code.flip(0)))
            elsewhere = queries._replace(places_BQD=queries.places_BQD.flip(1))
            assert not torch.allclose(plain, layer(content, elsewhere, tokens, code, None, far), atol=1e-3)
        assert not torch.allclose(plain, moved, atol=1e-3)


def test_queries_on_a_grid_look_nearby_and_learned_ones_have_no_place():
    names = {name for name, _ in head().named_parameters()}
    learned = {name for name, _ in head(reference_points="learned").named_parameters()}
    assert names - learned == {"decoder.0.log_slope_H", "decoder.1.log_slope_H"}
    assert learned - names == {"learned_places.weight"}
    model = head()
    tokens = placed()
    near, far = (tokens.xy_N2 - model.query_xy[0]).square().sum(-1).topk(4, largest=False).indices, slice(12, 16)
    plain = model([tokens]).boxes_cxcywh_LBQ4[0, :, 0]

    def change(rows) -> float:
        other = tokens.tokens_BNC.clone()
        other[:, rows] = -other[:, rows]
        return (model([tokens._replace(tokens_BNC=other)]).boxes_cxcywh_LBQ4[0, :, 0] - plain).abs().mean().item()

    assert change(near) > 3 * change(far)


@pytest.mark.parametrize("reference", ["grid", "learned"])
def test_letterbox_padding_changes_nothing(reference):
    valid = half_valid(3, 4)
    model, tokens = head(reference_points=reference), placed(valid_BN=valid)
    spoilt = torch.where(valid[..., None], tokens.tokens_BNC, 100.0)
    assert equal(model([tokens]), model([tokens._replace(tokens_BNC=spoilt)]))
    assert not equal(model([tokens]), model([tokens._replace(valid_BN=None)]), atol=1e-3)


def test_images_of_a_batch_do_not_see_each_other():
    model, tokens = head(), placed()
    together = model([tokens])
    for image in range(3):
        alone = model([tokens._replace(tokens_BNC=tokens.tokens_BNC[image : image + 1])])
        assert torch.allclose(alone.boxes_cxcywh_LBQ4[:, 0], together.boxes_cxcywh_LBQ4[:, image], atol=1e-5)


def test_noised_queries_are_invisible_to_the_others():
    model = head(denoising=True)
    plain, with_noised = model([placed()]), model([placed()], noised())
    assert equal(plain, Detections(*(x[:, :, :6] for x in with_noised)))


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("reads", ["vlm", "spatial", "both"])
def test_a_detector_reads_the_streams_that_are_there(reads, width):
    both = features(3)
    no_tokens = torch.empty(3, 0, 0)
    shapes = {
        "vlm": FeatureShapes(SHAPES.vlm_dim, SHAPES.vlm_grid, 0, 0),
        "spatial": FeatureShapes(0, 0, SHAPES.spatial_dim, SHAPES.spatial_grid),
        "both": SHAPES,
    }[reads]
    given = Features(
        both.vlm_BVC if reads != "spatial" else no_tokens, None, both.spatial_BSC if reads != "vlm" else no_tokens, None
    )
    model = Detector(config(width=width), shapes, N_CLASSES)
    initialise(model, 0)
    plain = model.eval()(given)
    for name in ("vlm_BVC", "spatial_BSC"):
        if getattr(given, name).numel():
            changed = Features(given.vlm_BVC, None, given.spatial_BSC, None)
            setattr(changed, name, -getattr(given, name))
            assert not equal(plain, model(changed), atol=1e-3)


def test_a_detector_takes_the_padding_of_one_stream_and_not_of_the_other():
    model = Detector(config(), SHAPES, N_CLASSES)
    initialise(model, 0)
    given = features(3)
    given.spatial_valid_BS = half_valid(3, SHAPES.spatial_grid)
    plain = model.eval()(given)
    given.spatial_BSC[~given.spatial_valid_BS] = 50.0
    assert equal(plain, model(given))
    given.vlm_BVC[:, 0] = 50.0
    assert not equal(plain, model(given), atol=1e-3)


def test_class_probabilities_leave_no_object_out():
    logits = torch.tensor([[[2.0, 0.0, 1.0]]])
    competing = class_probs(logits, config(class_loss="cross_entropy"))
    assert competing.flatten().tolist() == pytest.approx(logits.softmax(-1).flatten()[:2].tolist())
    assert class_probs(logits, config(class_loss="focal")).flatten().tolist() == pytest.approx(
        logits.sigmoid().flatten().tolist()
    )


def test_focal_classes_start_unlikely():
    logits = head(class_loss="focal")([placed()]).class_logits_LBQC
    assert logits.sigmoid().mean() < 0.05


def test_half_precision_gives_finite_boxes_in_single_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, boxes = head(denoising=True)([placed()], noised())
    assert logits.dtype == boxes.dtype == torch.float32
    assert logits.isfinite().all()
    assert boxes.isfinite().all()
