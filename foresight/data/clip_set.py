"""ClipSet: the arrays of one split of clips, as ImageSet is of one split of pictures."""

from dataclasses import dataclass

import numpy as np

from foresight.data.arrays import check_arrays
from foresight.data.image_set import ImageSet


@dataclass(frozen=True)
class ClipSet:
    """One split of N clips of T frames; S is `image_px`, t is `target_px`. Row i of every array is the same clip.

    Boxes and rectangles are `[x0, y0, x1, y1]` in the square frame, x right and y down, each side of the
    frame 1. Mask and box follow one object through the clip; both are None where no clip has an annotation.
    Raises ValueError when an array has another type or shape than stated here.
    """

    split: str  # "train", "val" or "test"
    frames: np.ndarray  # uint8 [N, T, S, S, 3], what the encoders see, letterboxed
    targets: np.ndarray  # uint8 [N, T, 3, t, t], what is reconstructed
    content: np.ndarray  # bool [N, t, t], True inside the picture, False in letterbox padding
    content_xyxy: np.ndarray  # float32 [N, 4], the picture's rectangle
    sample_hash: np.ndarray  # str [N], 16 hex digits over the pixels of the clip's source frames
    scene: np.ndarray  # str [N], type for breakdowns: a motion, a Something-Something template, a DAVIS sequence
    masks: np.ndarray | None = None  # bool [N, T, t, t]; empty where the object is out of sight
    boxes_xyxy: np.ndarray | None = None  # float32 [N, T, 4]; 0 where the object is out of sight

    def __post_init__(self) -> None:
        n, n_frames, image_px = self.frames.shape[:3]
        target_px = self.targets.shape[-1]
        expected = {
            "frames": ("u1", (n, n_frames, image_px, image_px, 3)),
            "targets": ("u1", (n, n_frames, 3, target_px, target_px)),
            "content": ("b1", (n, target_px, target_px)),
            "content_xyxy": ("f4", (n, 4)),
            "sample_hash": ("U", (n,)),
            "scene": ("U", (n,)),
        }
        if (self.masks is None) != (self.boxes_xyxy is None):
            raise ValueError(f"the {self.split} split must have both 'masks' and 'boxes_xyxy', or neither")
        if self.masks is not None:
            expected["masks"] = ("b1", (n, n_frames, target_px, target_px))
            expected["boxes_xyxy"] = ("f4", (n, n_frames, 4))
        check_arrays(self, f"the {self.split} split", expected)

    def __len__(self) -> int:
        return len(self.frames)

    def as_pictures(self) -> ImageSet:
        """The frames as pictures, clip after clip, without a copy of what is large."""
        n, n_frames = self.frames.shape[:2]
        masks, boxes = self.masks, self.boxes_xyxy
        return ImageSet(
            split=self.split,
            images=_flat(self.frames),
            targets=_flat(self.targets),
            content=np.repeat(self.content, n_frames, axis=0),
            content_xyxy=np.repeat(self.content_xyxy, n_frames, axis=0),
            masks=_flat(masks) if masks is not None else np.zeros((n * n_frames, 0, 0), dtype=bool),
            boxes_xyxy=_flat(boxes) if boxes is not None else np.zeros((n * n_frames, 0), dtype=np.float32),
            sample_hash=self.sample_hash,
            scene=self.scene,
            n_frames=n_frames,
        )


def _flat(array: np.ndarray) -> np.ndarray:
    """[N, T, ...] as [N * T, ...]."""
    return array.reshape(-1, *array.shape[2:])
