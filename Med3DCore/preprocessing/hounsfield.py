"""Is this a CT in Hounsfield units? Asked of the values alone, since most files do not say."""

from __future__ import annotations

import numpy as np

_SAMPLES = 2_000_000


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether the values are like those of a CT of a body or a part of it.

    In Hounsfield units fat and air lie below -30, a good part lies between -200 and 300, and little lies where soft
    tissue would be if the values were stored without their offset of 1024. Pictures of 0..255, MR, and
    label maps have nothing below -30; a CT of 0..4095 has its tissue around 1050.

    Args:
        array: ``[z, y, x]`` of any real type; about two million voxels spread evenly are looked at.
    """
    sample = array.ravel()[:: max(1, array.size // _SAMPLES)]

    def share(low: float, high: float) -> float:
        return np.count_nonzero((sample > low) & (sample < high)) / sample.size

    soft = share(-200, 300)
    return bool(sample.min() < -30 and soft > 0.02 and share(700, 1300) < soft / 3)
