"""Qwen2.5-VL as a frozen encoder: its vision tower's tokens, or hidden states of the language model at the image tokens.

Axes: B batch, V visual tokens (raster order), C channels. A picture of P pixels gives V = (P / 28)^2 tokens, and four
times as many before the vision tower merges them 2x2. Only image tokens are kept: the template's text tokens carry no
pixels.
"""

import contextlib
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foresight.config import PIXELS_PER_VLM_TOKEN, VLMConfig
from foresight.encoders.checkpoints import RANDOM, local_checkpoint
from foresight.encoders.shapes import REAL_CONFIG, TOY_CONFIG, VLMLayer, n_language_layers

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PATCH_PX, MERGE, FRAMES = 14, 2, 2


def build_vlm(config: VLMConfig, device: str = "cpu") -> nn.Module:
    """The frozen model without a language head; toy size and seeded, or by `from_pretrained`.

    Raises RequestError when a checkpoint is missing (see `check_checkpoint`).
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

    if config.checkpoint == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Qwen2_5_VLModel(Qwen2_5_VLConfig(**TOY_CONFIG)).to(device)
    elif device == "meta":
        with torch.device("meta"):
            model = Qwen2_5_VLModel(Qwen2_5_VLConfig(**REAL_CONFIG))
    else:
        source = local_checkpoint(config.checkpoint) or config.checkpoint
        # The precision it was published in, on any device: features must not depend on where they were computed.
        model = Qwen2_5_VLModel.from_pretrained(source, dtype="auto").to(device)
    return model.eval().requires_grad_(False)


def patchify(pixels_B3PP: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1] to Qwen's patch rows [B * grid * grid, 1176] and the grid [B, 3] of (frames, rows, columns).

    Equal to transformers' own image processor, without its resizing (P must be a multiple of 28).
    """
    B, C, height, width = pixels_B3PP.shape
    if height % PIXELS_PER_VLM_TOKEN or width % PIXELS_PER_VLM_TOKEN:
        raise ValueError(f"pictures must be a multiple of {PIXELS_PER_VLM_TOKEN} px, got {height} x {width}")
    rows, columns = height // PATCH_PX, width // PATCH_PX
    mean = torch.tensor(CLIP_MEAN, device=pixels_B3PP.device).view(3, 1, 1)
    std = torch.tensor(CLIP_STD, device=pixels_B3PP.device).view(3, 1, 1)
    x = ((pixels_B3PP - mean) / std).reshape(B, C, rows // MERGE, MERGE, PATCH_PX, columns // MERGE, MERGE, PATCH_PX)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, FRAMES, -1, -1)
    grid = torch.tensor([[1, rows, columns]] * B, device=pixels_B3PP.device)
    return x.reshape(B * rows * columns, C * FRAMES * PATCH_PX * PATCH_PX), grid


@torch.no_grad()
def encode_vlm(model: Any, pixels_B3PP: Tensor, layers: list[VLMLayer]) -> dict[VLMLayer, Tensor]:
    """{layer: [B, V, C]} tokens of the vision tower before or after its merger, or after layers of the language model.

    Layers count from 1 to depth, which is after the final norm. One forward pass serves all that is asked for; the
    language model is run only where one of its layers is.
    """
    B, V = len(pixels_B3PP), (pixels_B3PP.shape[-1] // PIXELS_PER_VLM_TOKEN) ** 2
    patches, grid = patchify(pixels_B3PP)
    vision: dict[str, Any] = {}
    states: dict[VLMLayer, Tensor] = {}
    of_language = [layer for layer in layers if n_language_layers(layer)]
    with contextlib.ExitStack() as listeners:
        listeners.enter_context(model.visual.register_forward_hook(lambda _, __, output: vision.update(output)))
        for layer in of_language:
            block = model.language_model.layers[n_language_layers(layer) - 1]
            listeners.enter_context(block.register_forward_hook(partial(_keep_state, states, layer)))
        if of_language:
            last_state, is_image = _run_language_model(model, patches, grid, B, V)
            states |= {
                layer: last_state for layer in of_language if layer == model.config.text_config.num_hidden_layers
            }
        else:
            model.visual(patches.to(model.dtype), grid_thw=grid)
    tokens: dict[VLMLayer, Tensor] = {}
    for layer in layers:
        if layer == "pre_merge":
            cells_per_window = model.config.vision_config.window_size // PIXELS_PER_VLM_TOKEN
            in_window_order = vision["last_hidden_state"].view(B, 4 * V, -1)
            tokens[layer] = to_raster_order(in_window_order, cells_per_window).float()
        elif layer == "post_merge":
            tokens[layer] = vision["pooler_output"].view(B, V, -1).float()
        else:
            tokens[layer] = states[layer][is_image].view(B, V, -1).float()
    return tokens


def _keep_state(states: dict[VLMLayer, Tensor], layer: VLMLayer, block: nn.Module, given: Any, output: Tensor) -> None:
    """A hook of our own: transformers sets its hooks once, on the layers that the model has at that moment, and never again."""
    states[layer] = output


def _run_language_model(model: Any, patches: Tensor, grid: Tensor, B: int, V: int) -> tuple[Tensor, Tensor]:
    """(state after the final norm, which of its tokens are the image's).

    `mm_token_type_ids` is required: without it the model silently falls back to one-dimensional positions and the tokens
    forget their rows.
    """
    config = model.config
    prompt = [config.vision_start_token_id] + [config.image_token_id] * V + [config.vision_end_token_id]
    ids = torch.tensor([prompt] * B, device=patches.device)
    is_image = ids == config.image_token_id
    output = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=patches.to(model.dtype),
        image_grid_thw=grid,
        mm_token_type_ids=is_image.int(),
        use_cache=False,
    )
    return output.last_hidden_state, is_image


def to_raster_order(tokens_BNC: Tensor, cells_per_window: int) -> Tensor:
    """[B, N, C] tokens of the vision tower before its merger, row after row of the picture.

    The tower holds them window by window (attention stays inside a window in most of its layers), in a window cell by
    cell, and in a cell the 2x2 tokens that will be merged; windows, cells and tokens each in raster order. Windows at the
    right and lower edge are cut off by the picture.
    """
    B, N, C = tokens_BNC.shape
    n = math.isqrt(N) // MERGE  # cells of a side
    cell = torch.arange(n * n, device=tokens_BNC.device)
    row, column = cell // n, cell % n
    window = (row // cells_per_window) * n + column // cells_per_window
    in_window_order = (window * n * n + cell).argsort()
    in_raster_order = in_window_order.argsort()
    cells = tokens_BNC.view(B, n * n, MERGE * MERGE, C)[:, in_raster_order]
    return cells.view(B, n, n, MERGE, MERGE, C).transpose(2, 3).reshape(B, N, C)


@contextlib.contextmanager
def without_later_layers(model: Any, layer: VLMLayer) -> Iterator[None]:
    """Inside, the language model ends after `layer`: who reads an early one, or the vision tower, needs no later ones."""
    all_layers = model.language_model.layers
    model.language_model.layers = all_layers[: n_language_layers(layer)]
    try:
        yield
    finally:
        model.language_model.layers = all_layers


def to_pixels(images_BSS3: np.ndarray, device: str) -> Tensor:
    """uint8 [B, S, S, 3] to float [B, 3, S, S] in [0, 1]."""
    pixels = torch.from_numpy(np.array(images_BSS3))  # a copy: a memory map is read-only
    return pixels.to(device).permute(0, 3, 1, 2).float() / 255
