"""Great vessels: aorta and its branches, caval veins, lung arteries and veins, portal vein."""

# ruff: noqa: RUF005 - an array plus three numbers is a vector sum here.

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import Shape, Structure, Vector, grown, tube
from Med3DCore.phantom.torso import Torso


class Circulation:
    """Centre lines of the great vessels of one patient.

    Args:
        torso: The trunk they lie in.
        heart: Centre of the heart in mm.
        rng: Source of their calibres.

    Attributes:
        carina: Where the trachea divides.
        porta: Where the portal vein enters the liver.
        cava_entry: Where the liver's veins reach the vena cava.
    """

    def __init__(self, torso: Torso, heart: np.ndarray, rng: np.random.Generator) -> None:
        self._torso, self._heart = torso, heart
        self.carina = torso.spinal(3, -32, 217)
        self.porta = torso.spinal(-30, -52, 28)
        self.cava_entry = torso.spinal(-24, -44, 82) * [1, 1, 0] + [0, 0, torso.dome_right - 22]
        self._aorta = self._aorta_pieces(float(np.clip(1 + 0.09 * rng.standard_normal(), 0.85, 1.25)))
        self._cava = tube([torso.spinal(-19, -27, -104), torso.spinal(-20, -28, -40), torso.spinal(-21, -30, 10),
                           torso.spinal(-23, -34, 55), self.cava_entry, self.cava_entry + [-2, -12, 34]],
                          [9, 10, 11, 12, 13, 13])  # fmt: skip

    def hilum(self, side: int) -> np.ndarray:
        """Where the vessels enter a lung; ``side`` is -1 for the right and 1 for the left."""
        return self.carina + [side * 36.0 - 3, 2.0, 5.0 * side - 27.0]

    def aorta(self, arch: bool) -> list[Shape]:
        """The chest's part of the aorta with its ``arch``, or the part at and below the diaphragm."""
        return self._aorta[:9] if arch else self._aorta[8:]

    def chest(self) -> list[Structure]:
        """Vessels above the diaphragm."""
        t, heart, carina = self._torso, self._heart, self.carina
        fork = carina + [11, -32, -17]
        right = tube([fork, carina + [-17, -18, -21], self.hilum(-1)], [12, 11, 7])
        left = tube([fork, carina + [29, -8, -11], self.hilum(1)], [12, 11, 7])
        trunk = tube([heart + [-2, -20, 24], heart + [6, -8, 46], fork], [15, 14.5, 14])
        veins = [
            piece
            for side in (-1, 1)
            for drop in (-14, -34)
            for piece in tube([heart + [-26 + side * 12, 36, 24], self.hilum(side) + [0, 2, drop]], [7, 5])
        ]
        meeting = np.array([-25, heart[1] + 10, 244])
        caval = tube([heart + [-52, 12, 26], [-27, heart[1] + 8, 205], meeting], [10, 10, 9])
        caval += tube([meeting, [2, heart[1] - 2, 250], [38, heart[1] + 4, 262]], [8, 7, 7])
        for side in (-1, 1):
            caval += tube([[side * 30, heart[1] + 10, 250], t.spinal(side * 36, -30, 330)], [7, 6])
        carotids: list[Shape] = []
        for x, y, radius in ((-9, -2, 6.5), (6, 6, 4.5), (17, 12, 5.5)):
            start, middle = [x, heart[1] + 24 + y, 244], t.spinal(2.2 * x - 4, -30, 300)
            carotids += tube([start, middle, t.spinal(2 * x, -30, 410)], [radius, radius - 1, radius - 1.5])
        result = _walled("caval_blood", caval) + _walled("pulmonary_blood", [*trunk, *right, *left, *veins])
        arch = self.aorta(arch=True)
        return result + _walled("left_blood", [*arch, *carotids], "aorta", len(arch))

    def belly(self) -> list[Structure]:
        """Vessels below the diaphragm."""
        t = self._torso
        s = t.spinal
        portal = tube([s(8, -56, -4), s(-8, -56, 14), self.porta], [7, 7.5, 7])
        portal += tube([s(2, -54, 10), s(42, -38, 28), s(76, -22, 44)], [5, 4.5, 3.5])
        portal += tube([s(4, -54, -2), s(6, -62, -50), s(2, -72, -95)], [6, 5, 3.5])
        arteries = tube([s(4, -34, 8), s(4, -50, -6), s(6, -68, -70)], [4, 3.8, 2.5])
        arteries += tube([s(4, -34, 30), s(2, -52, 28), s(-24, -56, 26)], [4, 3.5, 2.5])
        veins = list(self._cava)
        for side in (-1, 1):
            arteries += tube([s(4, -32, -22), s(side * 40, -8, -30)], 3.0)
            veins += tube([s(-15, -30, -28), s(side * 38, -12, -32)], 5.0)
            iliac = [s(side * 4, -32, -102), s(side * 32, -34, -160), s(side * 58, -74, -212),
                     np.array([side * 80, -58, -262]), np.array([side * 86, -60, -330])]  # fmt: skip
            arteries += tube(iliac, [6, 5.5, 5, 5, 4.5])
            veins += tube([node + [-6, 9, 0] for node in iliac], [8, 7, 6.5, 6, 6])
        result = _walled("caval_blood", veins, "postcava", len(self._cava))
        result += [Structure("portal_blood", piece) for piece in portal]
        result += [Structure("left_blood", piece) for piece in arteries]
        return result + [Structure("left_blood", piece, "aorta") for piece in self.aorta(arch=False)]

    def _aorta_pieces(self, k: float) -> list[Shape]:
        """From the valve over the arch down to the bifurcation."""
        h, s = self._heart, self._torso.spinal
        top = s(15, -15, 244)
        top[1] = (h[1] + 30 + top[1]) / 2
        nodes: list[Vector] = [
            h + [-24, -4, 28], [-14, h[1] + 2, 202], [-12, h[1] + 6, 222], [-2, h[1] + 18, 238], top, s(27, -16, 230),
            s(26, -15, 212), s(24, -18, 170), s(20, -22, 130), s(14, -27, 95), s(7, -30, 60), s(4, -32, 20),
            s(4, -32, -40), s(2, -32, -102),
        ]  # fmt: skip
        return tube(nodes, k * np.array([15, 16, 15.5, 14.5, 14, 13.5, 13, 12.5, 12, 11.5, 11, 10, 9.5, 9]))


def _walled(tissue: str, pieces: list[Shape], organ: str = "", own: int = 0) -> list[Structure]:
    """Blood inside of a wall of 1.3 mm; the first ``own`` pieces are of an organ."""
    organs = [organ if number < own else "" for number in range(len(pieces))]
    pairs = list(zip(pieces, organs, strict=True))
    walls = [Structure("vessel_wall", grown(piece, 1.3), name) for piece, name in pairs]
    return walls + [Structure(tissue, piece, name) for piece, name in pairs]
