"""Writes folders of clips in the layouts of Something-Something v2 and DAVIS 2017, a few small frames each."""

import json
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT, RATE = 64, 32, 12


def brightening(n_frames: int, number: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 [n_frames, height, width, 3]: flat frames, each lighter by 8 than the one before, one clip by `number`.

    Flat frames survive lossy coding, so frame k can be told by its red, and a clip by its blue.
    """
    frames = np.zeros((n_frames, height, width, 3), dtype=np.uint8)
    frames[..., 0] = 20 + 8 * np.arange(n_frames)[:, None, None]
    frames[..., 2] = 10 * number
    return frames


def write_video(path: Path, frames: np.ndarray, codec: str = "libvpx") -> Path:
    """A .webm as VP8 (`libvpx`) or VP9 (`libvpx-vp9`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"crf": "4", "b": "2M", "cpu-used": "8"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class Ssv2Writer:
    """Clip `number` has `number` as its id and its blue."""

    template = "Moving [something] next to [something]"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.labels: dict[str, list[dict]] = {"train": [], "validation": [], "test": []}

    def add(self, split: str, number: int, n_frames: int = 12, shows: int | None = None) -> None:
        frames = brightening(n_frames, number if shows is None else shows)
        write_video(self.root / "20bn-something-something-v2" / f"{number}.webm", frames)
        label = "moving a cup next to a spoon"
        described = {"label": label, "template": self.template, "placeholders": ["a cup", "a spoon"]}
        self.labels[split].append({"id": str(number)} | (described if split != "test" else {}))

    def write(self) -> Path:
        (self.root / "labels").mkdir(parents=True, exist_ok=True)
        for split, entries in self.labels.items():
            (self.root / "labels" / f"{split}.json").write_text(json.dumps(entries))
        known = {"Moving something next to something": "0", "Holding something": "1"}
        (self.root / "labels" / "labels.json").write_text(json.dumps(known))
        return self.root


class DavisWriter:
    """Sequence `number` is called `sequence-<number>`, and has `number` as its blue."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lists: dict[str, list[str]] = {"train": [], "val": []}

    def add(
        self, split: str, number: int, n_frames: int = 12, shows: int | None = None, masks: np.ndarray | None = None
    ) -> None:
        """`masks` are object numbers, uint8 [n_frames, HEIGHT, WIDTH]; without them object 1 is the left half."""
        name = f"sequence-{number}"
        if masks is None:
            masks = np.zeros((n_frames, HEIGHT, WIDTH), dtype=np.uint8)
            masks[:, :, : WIDTH // 2] = 1
        for folder in ("JPEGImages", "Annotations"):
            (self.root / folder / "480p" / name).mkdir(parents=True)
        frames = brightening(n_frames, number if shows is None else shows)
        for k, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
            Image.fromarray(frame).save(self.root / "JPEGImages/480p" / name / f"{k:05d}.jpg", quality=95)
            picture = Image.fromarray(mask)
            picture.putpalette([shade // 3 for shade in range(3 * 256)])  # a shorter one would be stored in fewer bits
            picture.save(self.root / "Annotations/480p" / name / f"{k:05d}.png")
        self.lists[split].append(name)

    def write(self) -> Path:
        (self.root / "ImageSets/2017").mkdir(parents=True, exist_ok=True)
        for split, names in self.lists.items():
            (self.root / "ImageSets/2017" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        return self.root
