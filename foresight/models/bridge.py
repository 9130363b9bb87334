"""The bridge: everything that is trained, and its decoder. Encoder features in, a picture out.

Axes: B batch, V VLM tokens, S spatial tokens, C channels, Q conditioning tokens, T target side in pixels.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from foresight.config import AdapterConfig, DecoderConfig, FusionConfig, TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.adapters import Adapter
from foresight.models.budget import solve_size
from foresight.models.decoder import DECODERS
from foresight.models.fusion import FUSIONS, Streams
from foresight.models.initialise import initialise


@dataclass
class Features:
    """Encoder features of some images. `*_valid` is False where a token lies in letterbox padding; None: nowhere."""

    vlm_BVC: Tensor
    vlm_valid_BV: Tensor | None
    spatial_BSC: Tensor
    spatial_valid_BS: Tensor | None

    def __getitem__(self, index: Tensor | slice) -> "Features":
        """A batch in single precision; staged features are kept in half precision."""
        return Features(
            self.vlm_BVC[index].float(),
            self.vlm_valid_BV[index] if self.vlm_valid_BV is not None else None,
            self.spatial_BSC[index].float(),
            self.spatial_valid_BS[index] if self.spatial_valid_BS is not None else None,
        )

    def __len__(self) -> int:
        return len(self.vlm_BVC)


class Bridge(nn.Module):
    """What gives the conditioning tokens (those that LTX-Video would read), by fusion and head or by an adapter; decoder."""

    def __init__(
        self,
        conditioner: FusionConfig | AdapterConfig,
        decoder: DecoderConfig | nn.Module,
        target_px: int,
        shapes: FeatureShapes,
    ):
        """`decoder` is what to build, or one that is built already: a frozen one with its weights."""
        super().__init__()
        self.adapter: Adapter | None = None
        if isinstance(conditioner, AdapterConfig):
            self.adapter = Adapter(conditioner, solve_size(conditioner, shapes), shapes)
        else:
            self.streams = Streams(conditioner.width, shapes)
            self.fusion = FUSIONS[conditioner.strategy](conditioner, self.streams)
            self.norm = nn.LayerNorm(conditioner.width)
            self.head = nn.Linear(conditioner.width, conditioner.conditioning_dim)
        if isinstance(decoder, DecoderConfig):
            build = DECODERS[decoder.name]
            decoder = build(decoder, conditioner.conditioning_dim, conditioner.queries, target_px)
        self.decoder = decoder

    def condition(self, features: Features) -> Tensor:
        """[B, Q, conditioning_dim]: the conditioning tokens."""
        if self.adapter is not None:
            return self.adapter(
                features.vlm_BVC, features.vlm_valid_BV, features.spatial_BSC, features.spatial_valid_BS
            )
        vlm_BVD, spatial_BSD = self.streams(features.vlm_BVC, features.spatial_BSC)
        tokens = self.fusion(vlm_BVD, features.vlm_valid_BV, spatial_BSD, features.spatial_valid_BS)
        return self.head(self.norm(tokens))

    def forward(self, features: Features) -> Any:
        """What the decoder makes of the tokens; `pixel`: (picture [B, 3, T, T] in [0, 1], mask logits [B, T, T])."""
        return self.decoder(self.condition(features))


def build_bridge(config: TrialConfig, shapes: FeatureShapes) -> Bridge:
    """A bridge with the weights of the trial's block: parameters of the same name and shape start equal in every arm."""
    bridge = Bridge(config.conditioner, config.decoder, config.data.target_px, shapes)
    initialise(bridge, config.seed)
    return bridge
