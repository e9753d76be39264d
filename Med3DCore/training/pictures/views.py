"""What the network sees of a picture: a random part of it in training, its middle when it is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.networks.checks import check_count
from Med3DCore.training.pictures.decode import load, open_picture
from Med3DCore.training.pictures.picture_set import Picture, read_mask
from Med3DCore.training.pictures.source import Source
from Med3DCore.training.setting_checks import require, require_kinds, require_ranges

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[float, float, float, float]
_TRIES = 10


@dataclass(frozen=True)
class ViewSettings:
    """How pictures are cut and varied; the defaults are VDT's for ImageNet (papers.md B2).

    Args:
        size: Pixels along each side of what the network sees.
        middle: Part of the picture's shorter side that is seen when it is checked.
        smallest: Smallest part of the picture's area that a crop in training has.
        stretch: Longest side of a crop as a multiple of its other side, before it is made square.
        flip: Share of pictures that are mirrored left to right.
        shuffle: Whether the three colours change places, each picture anew.
        mean: Grey value, 0 to 255, that becomes 0.
        deviation: Grey values that become 1.
    """

    size: int = 224
    middle: float = 0.875
    smallest: float = 0.08
    stretch: float = 4 / 3
    flip: float = 0.5
    shuffle: bool = True
    mean: float = 114.495
    deviation: float = 57.63

    def __post_init__(self) -> None:
        require_kinds(self)
        check_count("The pictures' setting 'size'", self.size)
        require_ranges(self, ("flip",), 0, 1)
        require_ranges(self, ("middle", "smallest"), 0.01, 1)
        require_ranges(self, ("stretch",), 1)
        require(self, "deviation", self.deviation > 0, "greater than 0")

    def training_view(
        self, source: Source, picture: Picture, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A random crop, perhaps mirrored and with its colours exchanged, and what it shows."""
        image, target = self._view(source, picture, lambda width, height: self._random_box(width, height, rng))
        if rng.random() < self.flip:
            image, target = image[:, :, ::-1], (target[:, ::-1] if target.ndim else target)
        return (image[rng.permutation(3)] if self.shuffle else image), target

    def checking_view(self, source: Source, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        """The middle of a picture, and what it shows."""
        return self._view(source, picture, self._middle_box)

    def _view(
        self, source: Source, picture: Picture, box_of: Callable[[int, int], Box]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours uint8 ``[3, y, x]``, and the class as a number, or the mask uint8 ``[y, x]``.

        Raises:
            DataError: A file is damaged, gigantic or of another kind.
        """
        from PIL import Image as images
        from PIL.Image import Resampling

        image = open_picture(source.read(picture.name), picture.name)
        width, height = image.size
        box = box_of(width, height)
        # A JPEG can be decoded at a half, a quarter or an eighth, which is much faster; never below what is needed.
        needed = (math.ceil(width * self.size / (box[2] - box[0])), math.ceil(height * self.size / (box[3] - box[1])))
        if image.format == "JPEG":
            image.draft(None, needed)
        loaded = load(image, picture.name)
        colours = np.asarray(self._resized(loaded, box, (width, height), Resampling.BILINEAR).convert("RGB"))
        if picture.mask is None:
            return colours.transpose(2, 0, 1), np.asarray(picture.kind)
        mask = images.fromarray(read_mask(source, picture.mask))
        return colours.transpose(2, 0, 1), np.asarray(self._resized(mask, box, (width, height), Resampling.NEAREST))

    def _resized(self, image: Image, box: Box, size: tuple[int, int], how: int) -> Image:
        """A box, in pixels of a picture of ``size``, as a square of the network's size."""
        (left, upper, right, lower), across, down = box, image.width / size[0], image.height / size[1]
        scaled = (left * across, upper * down, right * across, lower * down)
        return image.resize((self.size, self.size), how, box=scaled)

    def _random_box(self, width: int, height: int, rng: np.random.Generator) -> Box:
        """Left, upper, right, lower; as usual for ImageNet: a random area, a random ratio of the sides."""
        for _ in range(_TRIES):
            area = width * height * rng.uniform(self.smallest, 1)
            ratio = math.exp(rng.uniform(-math.log(self.stretch), math.log(self.stretch)))
            x, y = math.sqrt(area * ratio), math.sqrt(area / ratio)
            if x <= width and y <= height:
                left, upper = rng.uniform(0, width - x), rng.uniform(0, height - y)
                return left, upper, left + x, upper + y
        return self._middle_box(width, height)

    def _middle_box(self, width: int, height: int) -> Box:
        side = self.middle * min(width, height)
        left, upper = (width - side) / 2, (height - side) / 2
        return left, upper, left + side, upper + side
