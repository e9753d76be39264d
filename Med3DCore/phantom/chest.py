"""Lungs, mediastinum, heart, airways and gullet."""

# ruff: noqa: RUF005 - an array plus three numbers is a vector sum here.

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.circulation import Circulation
from Med3DCore.phantom.shapes import (
    Shape,
    Structure,
    below,
    boxed,
    capsule,
    ellipsoid,
    endless,
    field,
    grown,
    intersection,
    outside,
    roughened,
    tube,
    turned,
    union,
)
from Med3DCore.phantom.torso import Torso
from Med3DCore.phantom.trees import random_points, vessels

_HEART_AXES = turned(degrees_y=28, degrees_z=-30)  # The long axis points to the left, front and below.
_VENTRICLES = np.array([66.0, 43.0, 44.0])


class Chest:
    """The organs above the diaphragm of one patient.

    Args:
        torso: The trunk they lie in.
        rng: Source of their shapes and places.

    Attributes:
        heart_centre: Centre of the ventricles in mm.
        circulation: The great vessels.
    """

    def __init__(self, torso: Torso, rng: np.random.Generator) -> None:
        self._torso, self._rng = torso, rng
        self._size = float(np.clip(1 + 0.05 * rng.standard_normal(), 0.9, 1.12))
        floor = torso.dome_left + 35
        self.heart_centre = torso.ventral(28 + 4 * rng.standard_normal(), 58, 140) * [1, 1, 0] + [0, 0, floor]
        self.circulation = Circulation(torso, self.heart_centre, rng)

    def structures(self) -> list[Structure]:
        """Everything above the diaphragm, to be painted before the belly."""
        heart = self._heart()
        lungs = [Structure("lung", self.lung(side), name) for side, name in ((-1, "right_lung"), (1, "left_lung"))]
        return [
            *lungs,
            *self._lung_vessels(),
            Structure("visceral_fat", self._mediastinum(heart)),
            *self.circulation.chest(),
            *self._airways(),
            *self._chambers(heart),
        ]

    def lung(self, side: int) -> Shape:
        """A lung before the mediastinum is cut out; ``side`` is -1 for the right and 1 for the left."""
        half = below((-side, 0, 0), (side * 2.0, 0, 0))
        solid = intersection(field("wall", 1.0), outside(field("dome")), half, below((0, 0, 1), (0, 0, 286)), blend=5.0)
        low, high = sorted((side * -20.0, side * 170.0))
        return boxed(solid, (low, -150, -60), (high, 130, 300))

    def _lung_vessels(self) -> list[Structure]:
        result = []
        for side, name in ((-1, "right_lung"), (1, "left_lung")):
            targets = random_points(self._rng, self.lung(side), 600, self._torso)
            result += vessels(self.circulation.hilum(side), targets, 0.8, self._rng, "lung_vessel", name)
        return result

    def _mediastinum(self, heart: Shape) -> Shape:
        """What parts the lungs: fat around heart, vessels, airways and gullet."""
        t, c = self._torso, self.heart_centre
        sheet = endless(lambda p: np.abs(p.x - 3.0) - 3.0 + 0.8 * p.fields["lobe"])
        front = intersection(sheet, below((0, 1, 0), (0, 10, 0)), below((0, 0, -1), (0, 0, 64)))
        parts = [
            grown(heart, 5.0),
            ellipsoid(c + [8, -6, -34], (62, 46, 26)),
            boxed(front, (-12, -140, 60), (18, 40, 330)),
            ellipsoid(t.spinal(-1, -50, 222), (35, 38, 62)),
            ellipsoid(t.spinal(0, -22, 280), (33, 34, 50)),
            capsule((-27, c[1] + 14, c[2] + 35), (-27, c[1] + 20, 240), 13),
            capsule((-24, c[1] + 30, c[2]), t.spinal(-24, -34, 80), 16),
            *(ellipsoid(self.circulation.hilum(side), (15, 13, 19)) for side in (-1, 1)),
            *(grown(piece, 4.0) for piece in [*self.circulation.aorta(arch=True), *tube(self._gullet(), 8.0)]),
        ]
        solid = intersection(union(*parts, blend=9.0), field("wall", -3.0))
        return roughened(boxed(solid, (-110, -150, 50), (130, 90, 330)), 1.0)

    def _gullet(self) -> list[np.ndarray]:
        s = self._torso.spinal
        return [s(2, -24 - (8 if z < 120 else 0), z) for z in (330, 280, 230, 190, 150, 120)] + [
            s(8, -42, 98),
            s(26, -44, 82),
        ]

    def _airways(self) -> list[Structure]:
        """Gullet, thyroid, and the airways: trachea and main bronchi are no lung, the lobes' bronchi are."""
        s, carina = self._torso.spinal, self.circulation.carina
        result = [Structure("gut_wall", piece, "esophagus") for piece in tube(self._gullet(), 7.5)]
        result += [Structure("air", capsule(s(2, -25, 200), s(2, -25, 178), 2.2), "esophagus")]
        result += [Structure("thyroid", ellipsoid(s(side * 20, -36, 312), (9, 10, 22))) for side in (-1, 1)]
        main = tube([s(0, -34, 420), s(0, -34, 310), s(1, -33, 265), carina + [0, 0, 3]], 9.0 * self._size)
        lobar = []
        for side, drop in ((-1, 24), (1, 30)):
            end = carina + [side * 34, 4, -drop]
            main += tube([carina, end], [7.5, 6.5])
            for branch in ((24, 2, -34), (26, -6, 10), (20, -28, -14)):
                lobar += tube([end, end + np.array(branch) * [side, 1, 1]], [5.0, 2.8])
        for pieces, organ in ((lobar, None), (main, "")):
            result += [Structure("vessel_wall", grown(piece, 1.6), organ) for piece in pieces]
            result += [Structure("airway", piece, organ) for piece in pieces]
        return result

    def _heart(self) -> Shape:
        """Ventricles and atria."""
        c, k = self.heart_centre, self._size
        ventricles = ellipsoid(c + [6, -4, -2], _VENTRICLES * k, _HEART_AXES)
        atria = ellipsoid(c + [-30, 20, 16], np.array([32, 34, 38]) * k)
        return roughened(union(ventricles, atria, blend=22.0), 1.2)

    def _chambers(self, heart: Shape) -> list[Structure]:
        """Myocardium, then the blood of the right ventricle, the atria and the left ventricle."""
        c, k = self.heart_centre, self._size
        left = ellipsoid(c + [18, 4, -4], np.array([40, 21, 22]) * k, _HEART_AXES)
        cone = grown(ellipsoid(c + [6, -4, -2], _VENTRICLES * k, _HEART_AXES), -4)
        right = intersection(cone, outside(grown(left, 9.5 * k)), below((0, 1, 0), c + [0, 10, 0]), blend=4)
        inner = grown(heart, -3.5)
        left_atrium = intersection(inner, ellipsoid(c + [-22, 30, 22], np.array([30, 20, 24]) * k))
        right_atrium = intersection(inner, ellipsoid(c + [-46, 6, 4], np.array([19, 24, 32]) * k))
        return [
            Structure("myocardium", heart, "heart"),
            Structure("right_blood", roughened(right, 1.0), None),
            Structure("left_blood", roughened(left_atrium, 0.8), None),
            Structure("right_blood", roughened(right_atrium, 0.8), None),
            Structure("left_blood", roughened(left, 1.2), None),
        ]
