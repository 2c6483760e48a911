"""One image: from a JPEG to the pixels that a network sees."""

import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_AREA = (0.08, 1.0)  # of a random crop, relative to the image's
_ASPECT = (3 / 4, 4 / 3)  # of a random crop: width / height
_TRIES = 10
_RESIZED = 256 / 224  # shorter side of an evaluated image, relative to its crop


def decode(encoded: bytes) -> Image.Image:
    """The whole image of a JPEG (or PNG) in RGB, whatever its colours.

    Raises:
        Exception: of a kind that depends on what is wrong, if the bytes are not a complete image.

    >>> file = io.BytesIO()
    >>> Image.new("L", (5, 4), color=7).save(file, "jpeg")
    >>> slotjax.data.crops.decode(file.getvalue()).getpixel((0, 0))
    (7, 7, 7)
    """
    return Image.open(io.BytesIO(encoded)).convert("RGB")


def random_crop(image: Image.Image, size: int, random: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
    """A crop of random area (8-100 %) and aspect (3/4 to 4/3), resized bilinearly and flipped every other time.

    Args:
        image: RGB image of any size.
        size: height and width of the outcome.
        random: draws the crop and the flip.

    Returns:
        `(size, size, 3)`, `uint8`.

    >>> slotjax.data.crops.random_crop(Image.new("RGB", (50, 40)), 24, np.random.default_rng(0)).shape
    (24, 24, 3)
    """
    box = _random_box(*image.size, random)
    crop = image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop)


def centre_crop(image: Image.Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The middle of the image after its shorter side was resized bilinearly to `round(size * 256 / 224)`.

    Args:
        image: RGB image of any size.
        size: height and width of the outcome.

    Returns:
        `(size, size, 3)`, `uint8`.

    >>> slotjax.data.crops.centre_crop(Image.new("RGB", (50, 40)), 24).shape
    (24, 24, 3)
    """
    width, height = image.size
    scale = round(size * _RESIZED) / min(width, height)
    resized = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _random_box(width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    for _ in range(_TRIES):
        area = random.uniform(*_AREA) * width * height
        aspect = math.exp(random.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(random.integers(width - across + 1)), int(random.integers(height - down + 1))
            return left, top, left + across, top + down
    return _central_box(width, height)


def _central_box(width: int, height: int) -> tuple[int, int, int, int]:
    # The largest box in the middle whose aspect is allowed.
    across, down = min(width, round(height * _ASPECT[1])), min(height, round(width / _ASPECT[0]))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
