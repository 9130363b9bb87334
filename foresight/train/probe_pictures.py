"""What a probe saw and said, as one PNG: pictures with their true and predicted box, and their tokens in false colours.

Axes: B pictures, N tokens, C channels, H W pixels.
"""

import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from foresight.boxes import cxcywh_to_xyxy

CELL_PX, GAP_PX, LEGEND_PX = 168, 6, 30
PAPER, INK, TRUE_COLOUR, PREDICTED_COLOUR = "#ffffff", "#222222", "#ffffff", "#d55e00"
PADDING_GREY = 0.45  # of a token that shows no part of the picture
CAPTION = (
    "Above: test images with the annotated box (white) and the predicted one (orange). Below: the tokens that the probe "
    "reads, their first three principal components over these images as red, green and blue."
)
SHOWN_QUANTILES = (0.02, 0.98)  # of a component's values: one odd token must not leave the others without contrast


def draw_probe_examples(
    pictures_B3HW: Tensor,
    tokens_BNC: Tensor,
    valid_BN: Tensor | None,
    true_cxcywh_B4: Tensor,
    predicted_cxcywh_B4: Tensor,
) -> bytes:
    """PNG with a column for each picture (uint8): above, the picture and both boxes; below, its tokens and the true box.

    What it shows is said in the file itself, under `Caption`.
    """
    B = len(pictures_B3HW)
    pitch = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (B * pitch + GAP_PX, LEGEND_PX + 2 * pitch), PAPER)
    colours_BNN3 = principal_colours(tokens_BNC.cpu(), valid_BN.cpu() if valid_BN is not None else None)
    true_B4, predicted_B4 = (cxcywh_to_xyxy(boxes.cpu()).tolist() for boxes in (true_cxcywh_B4, predicted_cxcywh_B4))
    for column in range(B):
        picture = _in_cell(pictures_B3HW[column].permute(1, 2, 0).cpu().numpy())
        tokens = _in_cell((colours_BNN3[column] * 255).round().byte().numpy())
        for image in (picture, tokens):
            _outline(image, true_B4[column], TRUE_COLOUR)
        _outline(picture, predicted_B4[column], PREDICTED_COLOUR)
        for row, image in enumerate((picture, tokens)):
            sheet.paste(image, (GAP_PX + column * pitch, LEGEND_PX + row * pitch))
    _write_legend(sheet)
    buffer = io.BytesIO()
    about = PngInfo()
    about.add_text("Caption", CAPTION)
    sheet.save(buffer, format="PNG", optimize=True, pnginfo=about)
    return buffer.getvalue()


def principal_colours(tokens_BNC: Tensor, valid_BN: Tensor | None) -> Tensor:
    """[B, n, n, 3] in [0, 1]: the tokens' first three principal components, over all pictures, as red, green and blue.

    Each component fills the range; its sign is that of its largest loading. Padding is grey.
    """
    B, N = tokens_BNC.shape[:2]
    valid = torch.ones(B, N, dtype=torch.bool) if valid_BN is None else valid_BN
    tokens_MC = tokens_BNC[valid].double()
    centred_MC = tokens_MC - tokens_MC.mean(dim=0)
    axes_C3 = torch.linalg.eigh(centred_MC.T @ centred_MC).eigenvectors[:, -3:].flip(1)
    axes_C3 = axes_C3 * axes_C3.gather(0, axes_C3.abs().argmax(dim=0, keepdim=True)).sign()
    scores_M3 = centred_MC @ axes_C3
    low_3, high_3 = scores_M3.quantile(torch.tensor(SHOWN_QUANTILES, dtype=torch.double), dim=0)
    colours_BN3 = torch.full((B, N, 3), PADDING_GREY)
    colours_BN3[valid] = ((scores_M3 - low_3) / (high_3 - low_3).clamp(min=1e-12)).clamp(0, 1).float()
    side = round(N**0.5)
    return colours_BN3.view(B, side, side, 3)


def _in_cell(pixels_HW3: np.ndarray) -> Image.Image:
    """Enlarged pixel by pixel, or shrunk smoothly."""
    how = Image.Resampling.NEAREST if len(pixels_HW3) <= CELL_PX else Image.Resampling.BOX
    return Image.fromarray(pixels_HW3).resize((CELL_PX, CELL_PX), how)


def _outline(image: Image.Image, box_xyxy: list[float], colour: str) -> None:
    """A box three pixels wide between two dark lines, so that it is seen on any picture."""
    draw = ImageDraw.Draw(image)
    x0, y0, x1, y1 = (round(value * (CELL_PX - 1)) for value in box_xyxy)
    for grow, line, fill in ((2, 1, INK), (1, 3, colour), (-2, 1, INK)):
        corners = (x0 - grow, y0 - grow, max(x1 + grow, x0 - grow), max(y1 + grow, y0 - grow))
        draw.rectangle(corners, outline=fill, width=line)


def _write_legend(sheet: Image.Image) -> None:
    draw, font, x = ImageDraw.Draw(sheet), ImageFont.load_default(14), GAP_PX
    for colour, text in ((TRUE_COLOUR, "true box"), (PREDICTED_COLOUR, "predicted box")):
        draw.rectangle((x, 8, x + 20, 22), outline=INK, fill=colour)
        draw.text((x + 27, 6), text, fill=INK, font=font)
        x += 27 + round(draw.textlength(text, font=font)) + 24
    draw.text((x, 6), "below: first three principal components of the tokens", fill=INK, font=font)
