"""nnU-Net's normalisations, as functions of a part of a scan: what they need of the whole is measured before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from Med3DCore.errors import SettingError
from Med3DCore.preprocessing.intensity import Statistics

METHODS = ("window", "z_score", "range", "rgb", "none")
_SMALLEST = 1e-8

Normaliser = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Part of a scan, and of its mask if there is one, to float32 of the same shape."""


@dataclass(frozen=True)
class ChannelIntensity:
    """How one input channel is normalised.

    Args:
        method: ``"window"`` (clip, then known mean and sd: CT), ``"z_score"``, ``"range"`` (to 0..1), ``"rgb"``
            (0..255 to 0..1) or ``"none"``.
        low: Of the window.
        high: Of the window.
        mean: Subtracted after clipping to the window.
        sd: Divided by after that.
        nonzero: Whether a z-score is that of the voxels that are not zero, and leaves the others as they are.
    """

    method: str
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    sd: float = 1.0
    nonzero: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.low > self.high or self.sd <= 0:
            raise SettingError(f"This is not a normalisation of nnU-Net's: {self}.")

    @property
    def name(self) -> str:
        """Of the method among those of all programs."""
        return f"nnunet_{self.method}_nonzero" if self.method == "z_score" and self.nonzero else f"nnunet_{self.method}"

    def statistics(self, array: np.ndarray, mask: np.ndarray | None) -> Statistics:
        """The numbers of a whole channel ``[z, y, x]``, and of its mask."""
        mean, sd = 0.0, 1.0
        if self.method == "window":
            return Statistics(self.low, self.high, self.mean, self.sd)
        if self.method == "z_score":
            inside = array[mask] if self.nonzero and mask is not None else array
            mean = float(inside.mean(dtype=np.float64))
            sd = max(float(inside.std(dtype=np.float64)), _SMALLEST)
        elif self.method == "range":
            mean = float(array.min())
            sd = max(float(array.max()) - mean, _SMALLEST)
        elif self.method == "rgb":
            sd = 255.0
        return Statistics(-np.inf, np.inf, mean, sd)

    def measured(self, array: np.ndarray, mask: np.ndarray | None) -> Normaliser:
        """The normalisation with the numbers of a whole channel ``[z, y, x]``, and of its mask."""
        known = self.statistics(array, mask)
        masked = self.method == "z_score" and self.nonzero

        def normalise(part: np.ndarray, part_mask: np.ndarray | None) -> np.ndarray:
            values = np.clip(part, np.float32(known.low), np.float32(known.high), dtype=np.float32, casting="unsafe")
            values -= np.float32(known.mean)
            values /= np.float32(known.sd)
            if masked and part_mask is not None:
                np.copyto(values, part, where=~part_mask, casting="unsafe")
            return values

        return normalise


def nonzero_mask(channels: list[np.ndarray]) -> np.ndarray:
    """Where any channel is not zero, with enclosed holes; bool ``[z, y, x]``."""
    mask = channels[0] != 0
    for channel in channels[1:]:
        mask |= channel != 0
    return ndimage.binary_fill_holes(mask)
