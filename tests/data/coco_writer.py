"""Writes folders in COCO's layout, small enough to be worked out by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = [
    {"id": 1, "name": "cat", "supercategory": "animal"},
    {"id": 2, "name": "bus", "supercategory": "vehicle"},
]


def photograph(number: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture whose pixels depend on its number only, with no two alike."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def outline(left: float, top: float, width: float, height: float, **fields: Any) -> dict[str, Any]:
    """An annotation of a rectangle as a polygon."""
    right, bottom = left + width, top + height
    polygon = [left, top, right, top, right, bottom, left, bottom]
    box = [left, top, width, height]
    annotation = {"segmentation": [polygon], "bbox": box, "area": width * height, "iscrowd": 0, "category_id": 1}
    return annotation | fields


class CocoWriter:
    """Writes images and annotations below a root, as `instances_<folder>.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, dict[str, list]] = {}

    def add(self, folder: str, name: str, picture: Image.Image, *annotations: dict[str, Any]) -> None:
        table = self.tables.setdefault(folder, {"images": [], "annotations": [], "categories": CATEGORIES})
        number = 1000 * (1 + list(self.tables).index(folder)) + len(table["images"])
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        picture.save(self.root / folder / name)
        size = {"width": picture.width, "height": picture.height}
        table["images"].append({"id": number, "file_name": name, **size})
        for annotation in annotations:
            table["annotations"].append(annotation | {"id": len(table["annotations"]), "image_id": number})

    def write(self) -> Path:
        (self.root / "annotations").mkdir(parents=True, exist_ok=True)
        for folder, table in self.tables.items():
            (self.root / "annotations" / f"instances_{folder}.json").write_text(json.dumps(table))
        return self.root
