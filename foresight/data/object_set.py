"""ObjectSet: every object of the pictures of one split, where an ImageSet has one mask and one box."""

from dataclasses import dataclass

import numpy as np

from foresight.data.arrays import check_arrays


@dataclass(frozen=True)
class ObjectSet:
    """The objects of N pictures, up to K in each. Row i is picture i; places from `n_objects` on are padding.

    Boxes are `[x0, y0, x1, y1]` in the square frame, each side of the frame 1. Raises ValueError when an
    array has another type or shape than stated here, or padding is not where `n_objects` says.
    """

    boxes_xyxy: np.ndarray  # float32 [N, K, 4], as annotated; 0 in padding
    classes: np.ndarray  # int64 [N, K], index into class_names; -1 in padding
    n_objects: np.ndarray  # int64 [N], 1 to K
    class_names: tuple[str, ...]
    instances: np.ndarray | None = None  # uint8 [N, t, t], 0 nothing, k + 1 object k where it is seen; None: not known

    def __post_init__(self) -> None:
        n, most = self.classes.shape
        expected = {
            "boxes_xyxy": ("f4", (n, most, 4)),
            "classes": ("i8", (n, most)),
            "n_objects": ("i8", (n,)),
        }
        if self.instances is not None:
            expected["instances"] = ("u1", (n, *self.instances.shape[1:]))
        check_arrays(self, "the objects", expected)
        is_object = np.arange(most) < self.n_objects[:, None]
        if not np.array_equal(is_object, self.classes >= 0) or self.classes.max(initial=-1) >= len(self.class_names):
            raise ValueError(
                f"'classes' must be 0 to {len(self.class_names) - 1} in the first 'n_objects' places and -1 after them"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def visible_masks(self, rows: np.ndarray | slice) -> np.ndarray:
        """The seen part of each object of some pictures, bool [rows, K, t, t]; empty in padding."""
        assert self.instances is not None, "these objects have boxes but no instance masks"
        numbers = np.arange(1, self.classes.shape[1] + 1, dtype=np.uint8)
        return self.instances[rows][:, None] == numbers[:, None, None]
