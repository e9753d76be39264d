"""Nodules of the lungs whose nature is known: benign ones smooth, round or calcified, malignant ones lobed or spiky.

They overlap as real ones do: so do their sizes, lobes may be faint, and one in eight looks like the other kind. So no
classifier can be right about all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple
from Med3DCore.phantom.shapes import Shape, Structure, capsule, ellipsoid, turned, union

_LOOKS_OTHERWISE = 0.125
_CALCIFIED = 0.4
_DIAMETERS = {False: (9.0, 5.0, 20.0), True: (12.0, 6.0, 26.0)}  # Median, least and largest, mm.
_SPREAD = 0.35  # Of the logarithm of the diameter.


@dataclass(frozen=True)
class PhantomNodule:
    """A nodule to put into a phantom's lung.

    Args:
        centre: LPS mm.
        diameter_mm: Of its body, without spikes.
        malignant: What it is.
        seed: Its shape.

    Raises:
        SettingError: The diameter is not 2 to 60 mm.
    """

    centre: Triple
    diameter_mm: float
    malignant: bool
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.diameter_mm <= 60:
            raise SettingError(f"A phantom's nodule of {self.diameter_mm} mm cannot be made; choose 2 to 60 mm.")

    @property
    def looks_malignant(self) -> bool:
        """Whether it is lobed or spiky, which is all that somebody can say who sees a scan of it and no more."""
        return self._look(self._rng())

    def structures(self, centre: np.ndarray, scale: float) -> list[Structure]:
        """What is painted.

        Args:
            centre: In the standard patient, mm.
            scale: mm of this patient for 1 mm of the standard patient.
        """
        rng = self._rng()
        radius, lung = self.diameter_mm / 2 / scale, "left_lung" if centre[0] > 0 else "right_lung"
        shapes, calibre = (_spiky if self._look(rng) else _smooth)(centre, radius, rng)
        result = [Structure("nodule", shapes[0], None, lung)]
        result += [Structure("nodule", spike, None, lung, calibre) for spike in shapes[1:]]
        if not self.malignant and rng.random() < _CALCIFIED:
            core = _ball(centre, radius * rng.uniform(0.35, 0.7), 0.1, rng)
            result.append(Structure("cortical_bone", core, None, lung))
        return result

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, 7])

    def _look(self, rng: np.random.Generator) -> bool:
        """The first that is drawn of its shape."""
        return self.malignant != (rng.random() < _LOOKS_OTHERWISE)


def draw_diameter(malignant: bool, rng: np.random.Generator) -> float:
    """A diameter in mm as nodules of this kind have it."""
    median, least, largest = _DIAMETERS[malignant]
    return float(np.clip(rng.lognormal(np.log(median), _SPREAD), least, largest))


def _smooth(centre: np.ndarray, radius: float, rng: np.random.Generator) -> tuple[list[Shape], float]:
    """A nearly round body."""
    return [_ball(centre, radius, 0.12, rng)], np.inf


def _spiky(centre: np.ndarray, radius: float, rng: np.random.Generator) -> tuple[list[Shape], float]:
    """A body of lobes, spikes around it, or both; and the calibre of the spikes in mm."""
    lobed, spiky = ((True, False), (False, True), (True, True))[int(rng.integers(3))]
    body = [_ball(centre, radius * (0.75 if lobed else 0.95), 0.15, rng)]
    if lobed:
        places = centre + _directions(int(rng.integers(4, 8)), rng) * radius * 0.65
        body += [_ball(place, radius * rng.uniform(0.35, 0.5), 0.1, rng) for place in places]
    spikes = []
    for direction in _directions(int(rng.integers(9, 18)) if spiky else 0, rng):
        tip = centre + direction * radius * rng.uniform(1.5, 2.2)
        spikes.append(capsule(centre + direction * radius * 0.6, tip, 1.1, 0.4))
    return [union(*body, blend=0.3 * radius), *spikes], 1.6


def _ball(centre: np.ndarray, radius: float, uneven: float, rng: np.random.Generator) -> Shape:
    return ellipsoid(centre, radius * rng.uniform(1 - uneven, 1 + uneven, 3), turned(*rng.uniform(0, 180, 3)))


def _directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors (count, 3) in all directions alike."""
    vectors = rng.standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
