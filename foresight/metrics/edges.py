"""edge_f1: do the edges of a picture lie where those of the target do? Right on any background.

An edge is a ridge of the gradient of the grey, smoothed picture (Canny 1986, without hysteresis), at least a quarter as
strong as the target's strongest, so that neither brightness nor contrast decides what counts. The original study took
fixed thresholds without tolerance, which left its value near 0.
Axes: B batch, H W pixels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING_PX = 1.0  # standard deviation of the Gaussian whose derivative is taken
RADIUS_PX = 2  # of its kernel
MARGIN_PX = RADIUS_PX + 1  # edges this close to padding would be the padding's: their gradient or a neighbour's sees it
STRENGTH_FRAC = 0.25  # of the target's strongest gradient
FAINTEST_STEP = 0.04  # a step of the grey level (0 to 1) below this is no edge, however flat the rest is
TOLERANCE_FRAC = 0.015  # of the picture's side that edges may lie apart, at least one pixel
# Steps to the two neighbours that a gradient of each direction points at: along x, both diagonals, along y.
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1))


def compute_edge_f1(prediction_B3HW: Tensor, target_B3HW: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] harmonic mean of the share of predicted edges near a true one and of true edges near a predicted one.

    1 where neither picture has an edge, 0 where only one has or none meet. Pictures are in [0, 1]; padding and what lies
    within MARGIN_PX of it never count.
    """
    margin = 2 * MARGIN_PX + 1
    inside_BHW = F.max_pool2d((~content_BHW[:, None]).float(), margin, 1, MARGIN_PX)[:, 0] == 0
    predicted_2BHW = _gradient(prediction_B3HW)
    true_2BHW = _gradient(target_B3HW)
    strongest_B = (torch.hypot(*true_2BHW) * inside_BHW).amax(dim=(1, 2))
    faintest = FAINTEST_STEP / (SMOOTHING_PX * math.sqrt(2 * math.pi))  # what a step of that height gives
    least_B = (STRENGTH_FRAC * strongest_B).clamp(min=faintest)
    predicted_BHW = _ridges(predicted_2BHW, least_B) & inside_BHW
    true_BHW = _ridges(true_2BHW, least_B) & inside_BHW
    tolerance_px = max(1, round(TOLERANCE_FRAC * target_B3HW.shape[-1]))
    n_predicted_B, n_true_B = predicted_BHW.sum(dim=(1, 2)), true_BHW.sum(dim=(1, 2))
    precision_B = (predicted_BHW & ~_far_from(true_BHW, tolerance_px)).sum(dim=(1, 2)) / n_predicted_B.clamp(min=1)
    recall_B = (true_BHW & ~_far_from(predicted_BHW, tolerance_px)).sum(dim=(1, 2)) / n_true_B.clamp(min=1)
    f1_B = 2 * precision_B * recall_B / (precision_B + recall_B).clamp(min=1e-12)
    return torch.where((n_predicted_B == 0) & (n_true_B == 0), 1.0, f1_B)


def _gradient(picture_B3HW: Tensor) -> Tensor:
    """[2, B, H, W] derivatives of the smoothed grey picture along x and y; beyond its border it goes on as there."""
    grey_B1HW = picture_B3HW.float().mean(dim=1, keepdim=True)
    offset = torch.arange(-RADIUS_PX, RADIUS_PX + 1, device=grey_B1HW.device, dtype=grey_B1HW.dtype)
    bell = torch.exp(-offset.square() / (2 * SMOOTHING_PX**2))
    bell = bell / bell.sum()
    slope = offset * bell / (offset.square() * bell).sum()  # gives 1 on a ramp of slope 1
    along_x = slope[None, :] * bell[:, None]
    kernels = torch.stack([along_x, along_x.T])[:, None]
    padded = F.pad(grey_B1HW, (RADIUS_PX,) * 4, mode="replicate")
    return F.conv2d(padded, kernels).transpose(0, 1)


def _ridges(gradient_2BHW: Tensor, least_B: Tensor) -> Tensor:
    """Bool [B, H, W]: places at least as strong as `least_B` and stronger than both neighbours across the edge."""
    strength_BHW = torch.hypot(*gradient_2BHW)
    angle_BHW = torch.atan2(gradient_2BHW[1], gradient_2BHW[0])
    direction_BHW = (angle_BHW / (math.pi / 4)).round().long() % 4
    padded = F.pad(strength_BHW[:, None], (1, 1, 1, 1))[:, 0]
    height, width = strength_BHW.shape[1:]
    is_ridge = torch.zeros_like(strength_BHW, dtype=torch.bool)
    for direction, (dy, dx) in enumerate(NEIGHBOURS):
        ahead = padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[:, 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        # Of two neighbours of the same strength one is kept: a step between two pixels is one edge.
        is_ridge |= (direction_BHW == direction) & (strength_BHW > behind) & (strength_BHW >= ahead)
    return is_ridge & (strength_BHW >= least_B[:, None, None])


def _far_from(marked_BHW: Tensor, distance_px: int) -> Tensor:
    """Bool [B, H, W]: no marked pixel within this Euclidean distance."""
    offset = torch.arange(-distance_px, distance_px + 1, device=marked_BHW.device)
    disc = (offset[:, None].square() + offset[None, :].square() <= distance_px**2).float()
    near = F.conv2d(marked_BHW[:, None].float(), disc[None, None], padding=distance_px)[:, 0]
    return near < 0.5
