"""Example pictures that a trial leaves: grids of small pictures as one PNG."""

import io

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

N_EXAMPLES = 8


def picture_strip(rows_N3HW: list[torch.Tensor], least_px: int = 64, caption: str = "") -> bytes:
    """PNG of a grid of pictures in [0, 1]: one row for each tensor, small pictures enlarged to `least_px`.

    The caption travels inside the file, so that the report can say what a task has drawn.
    """
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows_N3HW], dim=1)
    pixels = (grid.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    factor = max(1, least_px // rows_N3HW[0].shape[-1])
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    about = PngInfo()
    about.add_text("Caption", caption)
    image.save(buffer, format="PNG", optimize=True, pnginfo=about)
    return buffer.getvalue()
