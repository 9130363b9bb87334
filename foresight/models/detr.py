"""DETR head (Carion et al. 2020): tokens with places in, a fixed number of boxes with classes out.

After E-P2.1, without what held it back there: the 2-D sine code has its factor of 2 pi and is added to queries and keys
of every layer, boxes can grow from any size, and every decoder layer can be supervised. Layers are pre-norm.

With `reference_points` "grid", queries stand on a grid of places: they predict offsets from there and look nearby first,
by a bias that each decoder layer can unlearn (after the anchors of Conditional DETR, Meng et al. 2021, and DAB-DETR, Liu et
al. 2022). With "learned" they are DETR's own. At toy size, 384 steps bring an mAP at IoU 0.5 of .14 with the grid and its
bias, .04 with the grid alone and .02 without (one seed).

Axes: B batch, N tokens, C channels, D width, Q queries (noised ones included, after the others), L decoder layers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import DetectorConfig
from foresight.models.attention import Attention, FeedForwardBlock
from foresight.models.denoising import NoisedQueries
from foresight.models.position import grid_centres, most_square_grid, sine_code, start_log_slopes

START_SIZE = 0.2  # of the picture's side: width and height of a box before anything is learned, in every encoding
START_PROB = 0.01  # of a class before anything is learned, where classes are not in competition (Lin et al. 2017)


class PlacedTokens(NamedTuple):
    """Tokens of some images and where they lie; `valid_BN` is False in letterbox padding, None: nowhere."""

    tokens_BNC: Tensor
    xy_N2: Tensor  # centres in [0, 1]
    valid_BN: Tensor | None = None


class Detections(NamedTuple):
    """What every decoder layer predicts; the last layer is the answer. Boxes are of the square frame, each side 1."""

    class_logits_LBQC: Tensor  # for `cross_entropy` the last of C is "no object"
    boxes_cxcywh_LBQ4: Tensor


class Queries(NamedTuple):
    """The queries of some images before they have read anything."""

    content_BQD: Tensor
    places_BQD: Tensor  # what is added to queries and keys in every layer
    xy_BQ2: Tensor  # where they start; the middle of the picture for those without a place
    bias_B1QQ: Tensor | None  # minus infinity where one may not look at another; None: all may


class EncoderLayer(nn.Module):
    """Pre-norm self-attention among tokens and a feed-forward."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = FeedForwardBlock(config.width, config.dropout, config.feedforward)

    def forward(self, tokens_BND: Tensor, code_ND: Tensor, valid_BN: Tensor | None) -> Tensor:
        normed = self.norm(tokens_BND)
        placed = normed + code_ND
        read = self.attention(placed, normed, valid_BN=valid_BN, keys_BND=placed)
        return self.feed_forward(tokens_BND + self.dropout(read))


class DecoderLayer(nn.Module):
    """Pre-norm: queries look at each other, then at the tokens, then a feed-forward."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.self_attention = Attention(config.width, config.heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.cross_attention = Attention(config.width, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = FeedForwardBlock(config.width, config.dropout, config.feedforward)
        self.looks_nearby = config.reference_points == "grid"
        if self.looks_nearby:
            self.log_slope_H = nn.Parameter(start_log_slopes(config.heads))

    def forward(
        self,
        content_BQD: Tensor,
        queries: Queries,
        tokens_BND: Tensor,
        code_ND: Tensor,
        valid_BN: Tensor | None,
        squared_BQN: Tensor,
    ) -> Tensor:
        """The queries' new content; `squared_BQN` are their squared distances from the tokens."""
        normed = self.norm(content_BQD)
        placed = normed + queries.places_BQD
        seen = self.self_attention(placed, normed, queries.bias_B1QQ, keys_BND=placed)
        content_BQD = content_BQD + self.dropout(seen)
        placed = self.cross_norm(content_BQD) + queries.places_BQD
        nearby_BHQN = -self.log_slope_H.exp()[:, None, None] * squared_BQN[:, None] if self.looks_nearby else None
        read = self.cross_attention(placed, tokens_BND, nearby_BHQN, valid_BN, keys_BND=tokens_BND + code_ND)
        return self.feed_forward(content_BQD + self.dropout(read))


class Detr(nn.Module):
    """The head over one or more sets of tokens, each brought to the width by a map of its own.

    `n_channels` are those of each set. A trained bridge's conditioning tokens are one set whose places are those of its
    queries.
    """

    def __init__(self, config: DetectorConfig, n_channels: Sequence[int], n_classes: int):
        super().__init__()
        width, n_queries = config.width, config.n_queries
        self.config, self.n_classes = config, n_classes
        self.project = nn.ModuleList(nn.Linear(channels, width) for channels in n_channels)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.memory_norm = nn.LayerNorm(width)
        self.learned_queries_QD = nn.Parameter(torch.zeros(n_queries, width))
        on_grid = config.reference_points == "grid"
        query_xy = grid_centres(*most_square_grid(n_queries)) if on_grid else torch.full((n_queries, 2), 0.5)
        self.register_buffer("query_xy", query_xy, persistent=False)
        if not on_grid:
            self.learned_places = nn.Embedding(n_queries, width)
        if config.denoising:
            self.learned_classes = nn.Embedding(n_classes, width)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.out_norm = nn.LayerNorm(width)
        self.to_class = nn.Linear(width, n_classes + (config.class_loss == "cross_entropy"))
        self.to_box = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4)
        )

    def forward(self, sources: Sequence[PlacedTokens], noised: NoisedQueries | None = None) -> Detections:
        """What every decoder layer predicts for Q = n_queries, and after them for the noised queries, if any."""
        tokens_BND, xy_N2, valid_BN = self._gather(sources)
        code_ND = sine_code(xy_N2, self.config.width)
        for layer in self.encoder:
            tokens_BND = layer(tokens_BND, code_ND, valid_BN)
        tokens_BND = self.memory_norm(tokens_BND)
        queries = self._queries(len(tokens_BND), noised)
        squared_BQN = (queries.xy_BQ2[:, :, None] - xy_N2).square().sum(dim=-1)
        content_BQD = queries.content_BQD
        logits, boxes = [], []
        for layer in self.decoder:
            content_BQD = layer(content_BQD, queries, tokens_BND, code_ND, valid_BN, squared_BQN)
            out_BQD = self.out_norm(content_BQD)
            logits.append(self.to_class(out_BQD).float())
            boxes.append(decode_boxes(self.to_box(out_BQD).float(), queries.xy_BQ2, self.config.box_encoding))
        class_logits = torch.stack(logits)
        if self.config.class_loss == "focal":
            class_logits = class_logits + math.log(START_PROB / (1 - START_PROB))
        return Detections(class_logits, torch.stack(boxes))

    def _gather(self, sources: Sequence[PlacedTokens]) -> tuple[Tensor, Tensor, Tensor | None]:
        """All tokens at the common width, their places, and which are valid."""
        tokens_BND = torch.cat([to(s.tokens_BNC) for to, s in zip(self.project, sources, strict=True)], dim=1)
        xy_N2 = torch.cat([s.xy_N2 for s in sources])
        if all(s.valid_BN is None for s in sources):
            return tokens_BND, xy_N2, None
        valid = [
            s.valid_BN if s.valid_BN is not None else s.tokens_BNC.new_ones(s.tokens_BNC.shape[:2], dtype=torch.bool)
            for s in sources
        ]
        return tokens_BND, xy_N2, torch.cat(valid, dim=1)

    def _queries(self, n_images: int, noised: NoisedQueries | None) -> Queries:
        config = self.config
        content_BQD = self.learned_queries_QD.repeat(n_images, 1, 1)
        if config.reference_points == "grid":
            place_QD = sine_code(self.query_xy, config.width)
        else:
            place_QD = self.learned_places.weight * config.width**0.5  # as large as standard normal vectors, as in DETR
        places_BQD, xy_BQ2 = place_QD.expand(n_images, -1, -1), self.query_xy.expand(n_images, -1, -1)
        if noised is None:
            return Queries(content_BQD, places_BQD, xy_BQ2, None)
        hidden_B1QQ = ~noised.mask(config.n_queries)[:, None]
        return Queries(
            torch.cat([content_BQD, self.learned_classes(noised.classes_BM)], dim=1),
            torch.cat([places_BQD, sine_code(noised.xy_BM2, config.width)], dim=1),
            torch.cat([xy_BQ2, noised.xy_BM2], dim=1),
            torch.zeros_like(hidden_B1QQ, dtype=torch.float32).masked_fill_(hidden_B1QQ, float("-inf")),
        )


def class_probs(logits_BQC: Tensor, config: DetectorConfig) -> Tensor:
    """[..., n_classes]: of every class, "no object" left out."""
    return logits_BQC.sigmoid() if config.class_loss == "focal" else logits_BQC.softmax(dim=-1)[..., :-1]


def decode_boxes(raw_BQ4: Tensor, start_xy_BQ2: Tensor, encoding: str) -> Tensor:
    """[B, Q, 4] boxes cxcywh from any numbers; 0 is a box of START_SIZE at `start_xy_BQ2`. Centres lie in the picture."""
    to_size, raw_start = SIZE_ENCODINGS[encoding]
    centre_BQ2 = (raw_BQ4[..., :2] + torch.logit(start_xy_BQ2, eps=1e-3)).sigmoid()
    return torch.cat([centre_BQ2, to_size(raw_BQ4[..., 2:] + raw_start)], dim=-1)


# How a side of a box is made from any number, and the number that makes START_SIZE.
SIZE_ENCODINGS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "sigmoid": (torch.sigmoid, math.log(START_SIZE / (1 - START_SIZE))),
    "softplus": (F.softplus, math.log(math.expm1(START_SIZE))),
    "log": (torch.exp, math.log(START_SIZE)),
}
