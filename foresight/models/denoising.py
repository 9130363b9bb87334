"""Noised true objects as further queries in training (DN-DETR, Li et al. 2022): what to predict is known without matching.

Of a box only the centre is noised: a query here stands at a place and has no size. Axes: B images, K objects, M noised
queries, Q matched queries.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

N_GROUPS = 3  # copies of every object, each with noise of its own
CENTRE_NOISE = 0.4  # at most, of half the box's side, along either axis
FLIPPED_FRAC = 0.2  # of the classes are replaced by a random one


@dataclass(frozen=True)
class NoisedQueries:
    """M = N_GROUPS x K queries of each image, group after group."""

    xy_BM2: Tensor  # where they stand, in [0, 1]
    classes_BM: Tensor  # what they claim to be; 0 in padding
    valid_BM: Tensor  # False in padding
    group_M: Tensor  # int

    def __getitem__(self, images_B: Tensor) -> "NoisedQueries":
        """Those of some of the images."""
        return NoisedQueries(self.xy_BM2[images_B], self.classes_BM[images_B], self.valid_BM[images_B], self.group_M)

    def mask(self, n_matched: int) -> Tensor:
        """bool [B, Q + M, Q + M]: which query may look at which.

        A noised query sees the matched ones and its own group. A matched query sees matched ones only: the noised ones
        hold the answer, and are not there when it counts.
        """
        n_images = len(self.valid_BM)
        own_group_MM = self.group_M[:, None] == self.group_M
        sees_noised_BMM = own_group_MM & self.valid_BM[:, None]
        matched_BMQ = self.valid_BM.new_ones(n_images, len(self.group_M), n_matched)
        lower = torch.cat([matched_BMQ, sees_noised_BMM], dim=2)
        upper = torch.zeros_like(lower[:, :1]).expand(-1, n_matched, -1).clone()
        upper[:, :, :n_matched] = True
        return torch.cat([upper, lower], dim=1)


def noise_objects(
    boxes_cxcywh_BK4: Tensor, classes_BK: Tensor, n_classes: int, generator: torch.Generator
) -> NoisedQueries:
    """Queries near the true objects; a padded object (class -1) gives padding. The generator is of the CPU."""
    n_images, most = classes_BK.shape
    device = classes_BK.device
    shift_B3K2 = torch.rand(n_images, N_GROUPS, most, 2, generator=generator) * 2 - 1
    flipped_B3K = torch.rand(n_images, N_GROUPS, most, generator=generator) < FLIPPED_FRAC
    random_B3K = torch.randint(n_classes, (n_images, N_GROUPS, most), generator=generator)
    half_B1K2 = boxes_cxcywh_BK4[:, None, :, 2:] / 2
    xy_B3K2 = boxes_cxcywh_BK4[:, None, :, :2] + CENTRE_NOISE * half_B1K2 * shift_B3K2.to(device)
    true_B3K = classes_BK.clamp(min=0)[:, None].expand(-1, N_GROUPS, -1)
    claimed_B3K = torch.where(flipped_B3K.to(device), random_B3K.to(device), true_B3K)
    return NoisedQueries(
        xy_B3K2.flatten(1, 2).clamp(0, 1),
        claimed_B3K.flatten(1),
        (classes_BK >= 0).repeat(1, N_GROUPS),
        torch.arange(N_GROUPS, device=device).repeat_interleave(most),
    )
