"""Which stream a bridge relies on, place by place: by what it attends to, and by what moves its output.

A share of attention exists where one softmax spans both streams, as in the adapters' reading layers. The fusions read
each stream by an attention of its own, and bring what they read to unit size before they join it: the norms of the two
readings are then fixed by the stream weight, whatever was learned. So for every bridge the influence is measured as
well: how far a conditioning token moves when one stream is exchanged for another picture's. A conditioning token and
what it attends from have a place in the picture, so both can be mapped.

Axes: B pictures, Q queries (conditioning tokens), V VLM tokens, N tokens of both streams, T target side in pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foresight.models.adapter_layers import Reader
from foresight.models.bridge import Bridge, Features
from foresight.models.position import grid_centres, most_square_grid


@dataclass
class ShareMap:
    """The VLM's share at each place, in [0, 1]; nan where neither stream moves anything."""

    share_BQ: Tensor
    xy_Q2: Tensor  # places in [0, 1]

    def regions(self, mask_BTT: Tensor, content_BTT: Tensor) -> dict[str, Tensor]:
        """`object` and `background`: [B] means over the places inside and outside the true mask; nan where there is none.

        Places in letterbox padding are in neither.
        """
        x, y = (self.xy_Q2 * mask_BTT.shape[-1]).long().unbind(dim=-1)
        inside_BQ = content_BTT[:, y, x]
        regions = {"object": inside_BQ & mask_BTT[:, y, x], "background": inside_BQ & ~mask_BTT[:, y, x]}
        return {name: self.share_BQ.where(where_BQ, torch.nan).nanmean(dim=1) for name, where_BQ in regions.items()}


@torch.no_grad()
def measure_influence(bridge: Bridge, features: Features, others: Features) -> ShareMap:
    """The VLM's share of how far each conditioning token moves when one stream comes from `others`, the other staying.

    The squared distance estimates the stream's total effect on the token (Jansen 1999, Sobol indices).
    """
    here_BQC = bridge.condition(features)
    with_vlm = Features(others.vlm_BVC, others.vlm_valid_BV, features.spatial_BSC, features.spatial_valid_BS)
    with_spatial = Features(features.vlm_BVC, features.vlm_valid_BV, others.spatial_BSC, others.spatial_valid_BS)
    vlm_BQ, spatial_BQ = (
        (bridge.condition(exchanged) - here_BQC).square().sum(dim=-1) for exchanged in (with_vlm, with_spatial)
    )
    places = grid_centres(*most_square_grid(here_BQC.shape[1])).to(here_BQC.device)
    return ShareMap(vlm_BQ / (vlm_BQ + spatial_BQ), places)


@torch.no_grad()
def measure_attention(bridge: Bridge, features: Features) -> ShareMap | None:
    """The share of attention on the VLM's tokens, mean over heads and layers; None where no attention reads both streams.

    The places are those of the queries that read: of a perceiver, its latents.
    """
    readers = [module for module in bridge.modules() if isinstance(module, Reader)]
    if not readers:
        return None
    (reader,) = readers
    n_vlm = features.vlm_BVC.shape[1]
    shares: list[Tensor] = []

    def keep_share(attention: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        weights_BHQN = attention.weights(*arguments)
        shares.append(weights_BHQN[..., :n_vlm].sum(dim=-1).mean(dim=1))

    handles = [layer.read.register_forward_pre_hook(keep_share) for layer in reader.layers]
    try:
        bridge.condition(features)
    finally:
        for handle in handles:
            handle.remove()
    return ShareMap(torch.stack(shares).mean(dim=0), reader.queries.xy)
