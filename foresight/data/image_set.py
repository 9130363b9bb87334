"""ImageSet: the arrays of one split, and the content hash that says which picture is which."""

import hashlib
from dataclasses import dataclass

import numpy as np

from foresight.data.arrays import check_arrays
from foresight.data.object_set import ObjectSet

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ImageSet:
    """One split of N images; S is `image_px`, t is `target_px`. Row i of every array is the same picture.

    Boxes and rectangles are `[x0, y0, x1, y1]` in the square frame, x right and y down, each side of the
    frame 1. Pictures without annotation have masks [N, 0, 0] and boxes [N, 0]: what cannot be indexed cannot
    be measured. The frames of clips are `n_frames` rows after another, and hash and scene have one row a clip.
    Raises ValueError when an array has another type or shape than stated here.
    """

    split: str  # "train", "val" or "test"
    images: np.ndarray  # uint8 [N, S, S, 3], what the encoders see, letterboxed
    targets: np.ndarray  # uint8 [N, 3, t, t], what is reconstructed
    content: np.ndarray  # bool [N, t, t], True inside the picture, False in letterbox padding
    content_xyxy: np.ndarray  # float32 [N, 4], the picture's rectangle
    masks: np.ndarray  # bool [N, t, t], the true mask: of all drawn objects, of a photograph's largest one
    boxes_xyxy: np.ndarray  # float32 [N, 4], the annotated box around it
    sample_hash: np.ndarray  # str [N / n_frames], 16 hex digits over the source picture's pixels
    scene: np.ndarray  # str [N / n_frames], scene type for breakdowns: a shape's name, a COCO supercategory
    objects: ObjectSet | None = None  # all objects of each picture; None: there is one, and it has no class
    n_frames: int = 1  # rows that make one clip, in order of time; 1 for pictures

    def __post_init__(self) -> None:
        n, image_px, target_px = len(self.images), self.images.shape[1], self.targets.shape[-1]
        annotated = self.masks.size > 0
        expected = {
            "images": ("u1", (n, image_px, image_px, 3)),
            "targets": ("u1", (n, 3, target_px, target_px)),
            "content": ("b1", (n, target_px, target_px)),
            "content_xyxy": ("f4", (n, 4)),
            "masks": ("b1", (n, target_px, target_px) if annotated else (n, 0, 0)),
            "boxes_xyxy": ("f4", (n, 4 if annotated else 0)),
            "sample_hash": ("U", (n // self.n_frames,)),
            "scene": ("U", (n // self.n_frames,)),
        }
        check_arrays(self, f"the {self.split} split", expected)
        if self.objects is not None and len(self.objects) != n:
            raise ValueError(f"the {self.split} split has {n} images but objects of {len(self.objects)}")

    def __len__(self) -> int:
        return len(self.images)


def hash_pixels(pixels: np.ndarray) -> str:
    """16 hex digits of sha256 over the shape and the pixels (uint8 [H, W, 3]): equal for equal pictures.

    A clip is hashed over all its frames, uint8 [T, H, W, 3].
    """
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()[:16]
