from pathlib import Path

import pytest
from clip_writer import DavisWriter, Ssv2Writer
from coco_writer import CocoWriter, outline, photograph


@pytest.fixture
def coco(tmp_path: Path) -> CocoWriter:
    return CocoWriter(tmp_path / "coco")


@pytest.fixture
def coco_root(coco: CocoWriter) -> Path:
    """Twelve photographs in train2017, three in val2017, each with an object."""
    for number in range(12):
        coco.add("train2017", f"{number}.png", photograph(number, 40, 30), outline(5, 5, 20, 10))
    for number in range(3):
        coco.add("val2017", f"{number}.png", photograph(100 + number, 30, 40), outline(5, 5, 10, 20))
    return coco.write()


@pytest.fixture
def ssv2(tmp_path: Path) -> Ssv2Writer:
    return Ssv2Writer(tmp_path / "ssv2")


@pytest.fixture
def davis(tmp_path: Path) -> DavisWriter:
    return DavisWriter(tmp_path / "davis")
