"""Letterbox geometry: a picture of any size in a square, its aspect kept, centred, grey padding around it.

The rectangle of the picture in the frame is exact and the same at every resolution. A drawn picture is
rounded to whole pixels with equal padding on both sides, so its edges are off the exact ones by half a
pixel at most.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

PADDING_GREY = 114  # the usual letterbox grey of detectors: near the mean of photographs, so it excites little


def content_rect(width: int, height: int) -> tuple[float, float, float, float]:
    """The picture's rectangle xyxy in the square frame, normalised to [0, 1]."""
    side = max(width, height)
    x0, y0 = (side - width) / side / 2, (side - height) / side / 2
    return x0, y0, 1 - x0, 1 - y0


def content_pixels(width: int, height: int, frame_px: int) -> tuple[int, int, int, int]:
    """As `content_rect` in whole pixels of a frame of `frame_px`, at least one pixel wide and high."""
    x0, y0, _, _ = content_rect(width, height)
    most = (frame_px - 1) // 2
    pad_x, pad_y = min(int(x0 * frame_px + 0.5), most), min(int(y0 * frame_px + 0.5), most)
    return pad_x, pad_y, frame_px - pad_x, frame_px - pad_y


def content_mask(width: int, height: int, frame_px: int) -> np.ndarray:
    """As `content_pixels`, bool [frame_px, frame_px], True inside the picture."""
    x0, y0, x1, y1 = content_pixels(width, height, frame_px)
    mask = np.zeros((frame_px, frame_px), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def box_to_frame(box_xyxy: tuple[float, ...], width: int, height: int) -> tuple[float, float, float, float]:
    """A box in pixels of the picture, clipped to the picture, as a normalised box in the square frame."""
    side = max(width, height)
    left, top, _, _ = content_rect(width, height)
    x0, x1 = (min(max(x, 0), width) / side + left for x in box_xyxy[0::2])
    y0, y1 = (min(max(y, 0), height) / side + top for y in box_xyxy[1::2])
    return x0, y0, x1, y1


def letterbox_image(picture: "Image.Image", frame_px: int) -> np.ndarray:
    """An RGB picture in the frame, uint8 [frame_px, frame_px, 3], anti-aliased bicubic."""
    from PIL import Image

    x0, y0, x1, y1 = content_pixels(*picture.size, frame_px)
    frame = np.full((frame_px, frame_px, 3), PADDING_GREY, dtype=np.uint8)
    frame[y0:y1, x0:x1] = np.asarray(picture.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC))
    return frame


def letterbox_mask(mask: np.ndarray, frame_px: int) -> np.ndarray:
    """A mask (bool [H, W]) in the frame, bool [frame_px, frame_px]: pixels that it covers by half or more.

    A mask too thin to cover half of any pixel keeps those it covers most: an object that exists must not
    have an empty mask.
    """
    from PIL import Image

    height, width = mask.shape
    x0, y0, x1, y1 = content_pixels(width, height, frame_px)
    picture = Image.fromarray(mask.astype(np.float32))
    cover = np.asarray(picture.resize((x1 - x0, y1 - y0), Image.Resampling.BOX))
    frame = np.zeros((frame_px, frame_px), dtype=bool)
    frame[y0:y1, x0:x1] = (cover > 0) & (cover >= min(0.5, cover.max()) - 1e-6)
    return frame


def valid_tokens(content_xyxy: np.ndarray, grid: int) -> np.ndarray:
    """Which of a grid's patches show the picture: bool [N, grid * grid] in raster order (row after row).

    `content_xyxy` is float [N, 4], normalised. A token is valid when the picture covers half of its patch
    or more. A picture too thin for that keeps the tokens it covers most, so every image has at least one.
    """
    edges = np.arange(grid + 1) / grid
    x0, y0, x1, y1 = content_xyxy.astype(np.float64).T[:, :, None]
    cover_x = np.clip(np.minimum(x1, edges[1:]) - np.maximum(x0, edges[:-1]), 0, None) * grid
    cover_y = np.clip(np.minimum(y1, edges[1:]) - np.maximum(y0, edges[:-1]), 0, None) * grid
    cover = (cover_y[:, :, None] * cover_x[:, None, :]).reshape(len(content_xyxy), grid * grid)
    # Rectangles are stored in float32, so an exact half may arrive as a half less 1e-7.
    return cover >= np.minimum(0.5, cover.max(axis=1, keepdims=True)) - 1e-6
