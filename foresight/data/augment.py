"""Augmented views of training images, made before the encoders see them: picture, target, mask and box change together.

Augmenting a target alone, behind frozen features, would ask for what cannot be known from them. View v of image i depends
on the data's seed, the augmentation, v and i (and the images before it), so more training images change no other view.
Axes: N images of a chunk; S is `image_px`, t is `target_px`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import betaincinv

from foresight.config import DataConfig
from foresight.data.canvas import chunks
from foresight.data.counter_hash import stream_of, u01
from foresight.data.image_set import ImageSet

JITTER = 0.1  # brightness and contrast each change by up to this share (protocols, E2.3)
LEAST_AREA = 0.8  # of the frame, in a random crop
MIXUP_ALPHA = 0.4  # of the Beta distribution of mixup's weight (Zhang et al. 2018)
PARTNERS = 64  # mixup mixes an image with one of so many before it: with any other, more images would change its views

Arrays = dict[str, np.ndarray]
PICTURE_ARRAYS = ("images", "targets", "content", "content_xyxy", "masks", "boxes_xyxy")


def encoded_rows(images: ImageSet, data: DataConfig) -> Iterator[tuple[int, Arrays]]:
    """The arrays of a split chunk by chunk, each with its first row: the images, then, in `train`, view after view."""
    views = data.views if images.split == "train" and data.augmentation != "none" else 0
    is_soft = views > 0 and data.augmentation == "mixup"
    for view in range(views + 1):
        for rows in chunks(len(images), data.image_px):
            index = np.arange(rows.start, rows.stop)
            made = augment(images, index, data, view - 1) if view else _taken(images, index)
            if is_soft and not view:
                made["masks"] = made["masks"] * np.uint8(255)
            yield view * len(images) + rows.start, made


def augment(images: ImageSet, index: np.ndarray, data: DataConfig, view: int) -> Arrays:
    """PICTURE_ARRAYS of one view, counted from 0, of the images `index` (int [N]).

    As ImageSet has them, but for the masks of mixed images: uint8 [N, t, t], the object's share of 255.
    """
    stream = stream_of("augmentation", data.augmentation, data.seed, view)
    return AUGMENTATIONS[data.augmentation](images, index, stream)


def colour_jitter(images: ImageSet, index: np.ndarray, stream: int) -> Arrays:
    """Brightness and contrast, each times 0.9 to 1.1; contrast about the picture's mean grey. Padding stays as it is."""
    made = _taken(images, index)
    brightness, contrast = (1 + JITTER * (2 * u01(stream, index, field) - 1) for field in (0, 1))
    grey = made["targets"].mean(axis=1)
    mean = brightness * np.array([g[inside].mean() for g, inside in zip(grey, made["content"], strict=True)])
    scale, shift = (brightness * contrast).astype(np.float32), (mean * (1 - contrast)).astype(np.float32)
    inside = _inside(made["content_xyxy"], made["images"].shape[1])
    for name, where in (("images", inside[..., None]), ("targets", made["content"][:, None])):
        changed = made[name] * scale[:, None, None, None] + shift[:, None, None, None]
        made[name] = np.where(where, _to_bytes(changed), made[name])
    return made


def random_crop(images: ImageSet, index: np.ndarray, stream: int) -> Arrays:
    """A square of 0.8 to 1 of the frame's area, enlarged to the frame; mask, content and boxes follow."""
    side = np.sqrt(LEAST_AREA + (1 - LEAST_AREA) * u01(stream, index, 0))
    x, y = ((1 - side) * u01(stream, index, field) for field in (1, 2))
    made = _taken(images, index)
    # The target comes from the finer picture, so that enlarging does not blur it.
    finest = made["images"] if made["images"].shape[1] >= made["targets"].shape[-1] else _last(made["targets"])
    for k, crop in enumerate(np.stack([x, y, x + side, y + side], axis=1)):
        made["targets"][k] = _crop_picture(finest[k], crop, made["targets"].shape[-1]).transpose(2, 0, 1)
        made["images"][k] = _crop_picture(made["images"][k], crop, made["images"].shape[1])
        for name in ("content", "masks"):
            made[name][k] = _crop_mask(made[name][k], crop)
    origin = np.stack([x, y, x, y], axis=1)
    for name in ("content_xyxy", "boxes_xyxy"):
        made[name] = np.clip((made[name] - origin) / side[:, None], 0, 1).astype(np.float32)
    return made


def mixup(images: ImageSet, index: np.ndarray, stream: int) -> Arrays:
    """A weighted mean with one of the images before it, mask included; the first image has none and stays alone.

    Box and object are those of the picture with the larger weight; content is where either picture is.
    """
    partner = np.maximum(index - 1 - np.floor(u01(stream, index, 0) * np.minimum(index, PARTNERS)).astype(int), 0)
    weight = betaincinv(MIXUP_ALPHA, MIXUP_ALPHA, u01(stream, index, 1)).astype(np.float32)
    made, other = _taken(images, index), _taken(images, partner)
    for name in ("images", "targets", "masks"):
        share = weight.reshape(-1, *[1] * (made[name].ndim - 1))
        bytes_of = 255 if name == "masks" else 1
        made[name] = _to_bytes(bytes_of * (share * made[name] + (1 - share) * other[name]))
    made["content"] |= other["content"]
    corner, far = made["content_xyxy"], other["content_xyxy"]
    made["content_xyxy"] = np.concatenate([np.minimum(corner, far)[:, :2], np.maximum(corner, far)[:, 2:]], axis=1)
    made["boxes_xyxy"] = np.where(weight[:, None] >= 0.5, made["boxes_xyxy"], other["boxes_xyxy"])
    return made


def _taken(images: ImageSet, index: np.ndarray) -> Arrays:
    """Copies of the rows `index`."""
    return {name: getattr(images, name)[index] for name in PICTURE_ARRAYS}


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _last(targets_N3tt: np.ndarray) -> np.ndarray:
    return targets_N3tt.transpose(0, 2, 3, 1).copy()


def _inside(content_xyxy: np.ndarray, px: int) -> np.ndarray:
    """Pixels whose centre is inside the picture, bool [N, px, px]."""
    centre = (np.arange(px) + 0.5) / px
    x0, y0, x1, y1 = content_xyxy.T[:, :, None]
    return ((centre >= y0) & (centre <= y1))[:, :, None] & ((centre >= x0) & (centre <= x1))[:, None, :]


def _crop_picture(picture: np.ndarray, crop_xyxy: np.ndarray, px: int) -> np.ndarray:
    """uint8 [px, px, 3]: the part of a square picture (uint8 [H, H, 3]) in `crop_xyxy`, anti-aliased bicubic."""
    from PIL import Image

    box = tuple(crop_xyxy * len(picture))
    return np.asarray(Image.fromarray(picture).resize((px, px), Image.Resampling.BICUBIC, box=box))


def _crop_mask(mask: np.ndarray, crop_xyxy: np.ndarray) -> np.ndarray:
    """bool [t, t]: pixels of the crop of which the mask covers half or more; of a thin one, those it covers most."""
    from PIL import Image

    px = len(mask)
    picture, box = Image.fromarray(mask.astype(np.float32)), tuple(crop_xyxy * px)
    cover = np.asarray(picture.resize((px, px), Image.Resampling.BILINEAR, box=box))
    return (cover > 0) & (cover >= min(0.5, cover.max()) - 1e-6)


AUGMENTATIONS: dict[str, Callable[[ImageSet, np.ndarray, int], Arrays]] = {
    "colour_jitter": colour_jitter,
    "random_crop": random_crop,
    "mixup": mixup,
}
