"""One patient: all structures in the order in which they are painted, and a deformation that is the patient's own."""

from __future__ import annotations

import numpy as np

from Med3DCore.geometry import Triple, triple
from Med3DCore.phantom import body_wall, bones, spine
from Med3DCore.phantom.abdomen import Abdomen
from Med3DCore.phantom.chest import Chest
from Med3DCore.phantom.fields import SmoothField, stream
from Med3DCore.phantom.gut import Gut
from Med3DCore.phantom.pathology import FINDINGS
from Med3DCore.phantom.settings import ADRENAL_GLANDS, SIZES, PhantomSettings
from Med3DCore.phantom.shapes import Points, Structure
from Med3DCore.phantom.torso import Torso

_WARP_MM = (3.5, 3.5, 5.0)  # Standard deviation of the deformation along x, y and z.
_SCANNER_BORE = 250.0  # Half the widest field of view, mm.


class Patient:
    """Continuous anatomy, a function of LPS position alone, so that any grid samples the same patient.

    Args:
        seed: The patient.
        settings: Uses ``size``, ``arms``, ``pathology``, ``nodules`` and, for adrenal glands, ``labels``; findings do
            not change what is around them.

    Attributes:
        scale: mm of this patient for 1 mm of the standard patient.
        structures: What is painted, in this order.
        lower: LPS mm (n, 3) of a box around each structure; -inf where it has no end.
        upper: Highest corners.
    """

    def __init__(self, seed: int, settings: PhantomSettings) -> None:
        length, fatness = SIZES[settings.size]
        self.scale = length * float(1 + 0.035 * np.clip(stream(seed, "length").standard_normal(), -2, 2))
        self._torso = Torso(seed, fatness)
        self._arms = settings.arms
        self._warp = [SmoothField(stream(seed, f"warp {axis}"), 42.0, 24) for axis in "xyz"]
        self._fields = {
            "bump": SmoothField(stream(seed, "bump"), 13.0, 64),
            "lobe": SmoothField(stream(seed, "lobe"), 28.0, 32),
            "grain": SmoothField(stream(seed, "grain"), 3.5, 64),
        }
        self.structures = self._assemble(seed, settings.pathology, bool(set(ADRENAL_GLANDS) & set(settings.labels)))
        for nodule in settings.nodules:
            self.structures += nodule.structures(self._standard(nodule.centre), self.scale)
        self.lower, self.upper = self._boxes()

    @property
    def back(self) -> float:
        """LPS y in mm of the flat back."""
        return self._torso.back * self.scale

    def extent(self, low: float, high: float) -> tuple[float, float, float]:
        """Half width, front y and back y in LPS mm that hold the body between two heights z."""
        half, front, back = self._torso.extent(low / self.scale, high / self.scale)
        if self._torso.female and high > 110:
            front -= 25
        if self._arms == "down":
            half = max(half, 285.0)
        elif high > 225:
            half = max(half, 215.0)
        return min(half * self.scale, _SCANNER_BORE), front * self.scale, back * self.scale

    def points(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Points:
        """Standard-patient points of LPS positions in mm, given as arrays that broadcast to a block."""
        level = (x / self.scale, y / self.scale, z / self.scale)
        moved = []
        for axis, warp, amplitude in zip(level, self._warp, _WARP_MM, strict=True):
            shift = warp(*level)
            shift *= amplitude
            shift += axis.astype(np.float32)
            moved.append(shift)
        points = Points(*triple(moved), {name: random_field(*level) for name, random_field in self._fields.items()})
        self._torso.measure(points, level)
        return points

    def _standard(self, position: Triple) -> np.ndarray:
        """The place (x, y, z) in the standard patient of an LPS position in mm."""
        points = self.points(*(np.full((1, 1, 1), value) for value in position))
        return np.array([axis.item() for axis in (points.x, points.y, points.z)])

    def _assemble(self, seed: int, pathology: tuple[str, ...], with_adrenal_glands: bool) -> list[Structure]:
        torso = self._torso
        chest = Chest(torso, stream(seed, "chest"))
        abdomen = Abdomen(torso, chest.circulation, stream(seed, "abdomen"))
        findings = [s for name in pathology for s in FINDINGS[name](torso, chest, abdomen, stream(seed, name))]
        return [
            *body_wall.structures(torso, self._arms),
            *chest.structures(),
            *abdomen.room(),
            *body_wall.muscles(torso),
            *Gut(torso, stream(seed, "gut")).structures(),
            *abdomen.structures(),
            *(abdomen.adrenal_glands() if with_adrenal_glands else ()),
            *chest.circulation.belly(),
            *bones.shoulders(torso, self._arms),
            *bones.pelvis(torso),
            *bones.ribs(torso),
            *spine.structures(torso, stream(seed, "spine")),
            *findings,
        ]

    def _boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes of the standard patient moved as the deformation moves 27 points of each."""
        low = np.array([s.shape.lower for s in self.structures], dtype=float)
        high = np.array([s.shape.upper for s in self.structures], dtype=float)
        first, last = np.clip(low, -500, 500), np.clip(high, -500, 500)
        steps = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3, indexing="ij"), axis=-1).reshape(1, -1, 3)
        spots = np.moveaxis(first[:, None] + steps * (last - first)[:, None], -1, 0)
        shift = np.stack([warp(*spots) * mm for warp, mm in zip(self._warp, _WARP_MM, strict=True)], axis=-1)
        slack = 2.0 + 0.05 * (last - first).max(axis=1, keepdims=True)
        return (low - shift.max(axis=1) - slack) * self.scale, (high - shift.min(axis=1) + slack) * self.scale
