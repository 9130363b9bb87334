"""Example pictures of a detector: true boxes above, predicted ones below, a colour for each class."""

import colorsys
import io

import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from foresight.features.stage import StagedObjects
from foresight.metrics.detection import ScoredBoxes

LEAST_SCORE = 0.5  # of a predicted box that is drawn
CAPTION = f"Above: true boxes. Below: predicted boxes with a score above {LEAST_SCORE}."
LEAST_PX = 160  # side of a drawn picture: small ones are enlarged


def box_strip(pictures_N3HW: torch.Tensor, objects: StagedObjects, detected: ScoredBoxes) -> bytes:
    """PNG of two rows of pictures in [0, 1]: with their true boxes, and with those predicted with a score above 0.5."""
    factor = -(-LEAST_PX // pictures_N3HW.shape[-1])
    side = factor * pictures_N3HW.shape[-1]
    strip = Image.new("RGB", (side * len(pictures_N3HW), 2 * side))
    for column, picture in enumerate(pictures_N3HW):
        pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        image = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        is_object_K = objects.is_object[column]
        true = objects.boxes_xyxy_NK4[column][is_object_K], objects.classes_NK[column][is_object_K]
        is_sure_Q = detected.scores_NQ[column] > LEAST_SCORE
        predicted = detected.boxes_xyxy_NQ4[column][is_sure_Q], detected.classes_NQ[column][is_sure_Q]
        for row, (boxes, classes) in enumerate((true, predicted)):
            strip.paste(_with_boxes(image, boxes, classes, objects.class_names), (column * side, row * side))
    buffer = io.BytesIO()
    about = PngInfo()
    about.add_text("Caption", CAPTION)  # inside the file, so that a report can say what it shows
    strip.save(buffer, format="PNG", optimize=True, pnginfo=about)
    return buffer.getvalue()


def class_colour(number: int) -> tuple[int, int, int]:
    """Hues far apart for neighbouring classes."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.9, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _with_boxes(
    image: Image.Image, boxes_xyxy_K4: torch.Tensor, classes_K: torch.Tensor, class_names: tuple[str, ...]
) -> Image.Image:
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    for box, number in zip((boxes_xyxy_K4 * image.width).tolist(), classes_K.tolist(), strict=True):
        colour = class_colour(number)
        pen.rectangle(box, outline=colour, width=2)
        name = class_names[number] if number < len(class_names) else str(number)
        pen.text((box[0] + 3, box[1] + 2), name, fill=colour, stroke_width=1, stroke_fill=(0, 0, 0))
    return drawn
