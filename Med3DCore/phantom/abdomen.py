"""The solid organs below the diaphragm: liver, spleen, kidneys, pancreas, adrenal glands, and the room they lie in."""

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


class Abdomen:
    """The solid organs of one patient.

    Args:
        torso: The trunk they lie in.
        circulation: The vessels they hang on.
        rng: Source of their shapes and places.
    """

    def __init__(self, torso: Torso, circulation: Circulation, rng: np.random.Generator) -> None:
        self._torso, self._circulation, self._rng = torso, circulation, rng
        self._liver_size = float(np.clip(1 + 0.03 * rng.standard_normal(), 0.94, 1.06))
        self._left_lobe = float(np.clip(1 + 0.18 * rng.standard_normal(), 0.6, 1.35))
        self._spleen_size = float(np.clip(1.12 + 0.09 * rng.standard_normal(), 0.96, 1.3))

    def room(self) -> list[Structure]:
        """Diaphragm and belly fat, to be painted over the chest and before all organs of the belly."""
        dome = intersection(field("dome"), field("wall", 0.5))
        return [
            Structure("muscle", dome),
            Structure("visceral_fat", intersection(field("dome", 3.0), field("wall", 1.0))),
        ]

    def structures(self) -> list[Structure]:
        """The solid organs."""
        return [*self._spleen(), *self._liver_parts(), *self._kidneys(), *self._pancreas()]

    def liver(self) -> Shape:
        """Right and left lobe under the diaphragm, cut off by the surface that faces the gut."""
        t, k = self._torso, self._liver_size
        right = ellipsoid((-66 * t.width, -12, 26), np.array([84, 106, 108]) * k)
        left_radii = np.array([88 * self._left_lobe, 54, 40]) * k
        left = ellipsoid(t.ventral(4 + 14 * self._left_lobe, 48, 64), left_radii, turned(degrees_y=-6))
        tip = below((0.66, 0.30, -0.72), (-118 * t.width, 10.0, -78.0 * k))
        hollow = below((0.30, 0.38, -0.87), (-20, -20, 6))
        lobes = union(right, left, blend=24.0)
        solid = intersection(lobes, tip, hollow, field("wall", 3.5), field("dome", 1.5), blend=10.0)
        return boxed(roughened(solid, 1.6), (-170, -150, -130), (140, 110, 150))

    def _liver_parts(self) -> list[Structure]:
        """The liver, its vessels, and what notches it: fissures, vena cava, porta and gall bladder."""
        s, rng, porta = self._torso.spinal, self._rng, self._circulation.porta
        liver = self.liver()
        targets = random_points(rng, liver, 130, self._torso)
        fissure = ellipsoid(self._torso.ventral(-10, 36, 36), (2.0, 21, 22), turned(degrees_z=-12))
        ligament = ellipsoid(s(-4, -62, 56), (19, 1.7, 19), turned(degrees_z=-20))
        groove = capsule(s(-22, -36, 90) + [0, 0, 20], s(-20, -34, -10), 14)
        notches = (fissure, ligament, groove, capsule(porta + [26, 6, -12], porta, 9, 7))
        gall = ellipsoid(porta + [-18, -28, -32], (15, 18, 32), turned(degrees_x=-35))
        return [
            Structure("liver", liver, "liver"),
            *vessels(porta, targets[::2], 1.6, rng, "portal_blood", "liver"),
            *vessels(self._circulation.cava_entry, targets[1::2], 1.7, rng, "hepatic_blood", "liver"),
            *(Structure("visceral_fat", roughened(notch, 0.8)) for notch in notches),
            Structure("gut_wall", grown(gall, 1.5), "gallbladder"),
            Structure("bile", gall, "gallbladder"),
        ]

    def _spleen(self) -> list[Structure]:
        centre = self._torso.spinal(92 * self._torso.width, -2, 58)
        pulp = ellipsoid(centre, np.array([42, 60, 62]) * self._spleen_size, turned(degrees_x=-25, degrees_z=-18))
        hollow = ellipsoid(centre + [-44, -18, 0], (34, 46, 56), turned(degrees_z=-18))
        solid = intersection(pulp, outside(hollow), field("wall", 4.0), field("dome", 3.5), blend=8.0)
        return [Structure("spleen", roughened(boxed(solid, pulp.lower, pulp.upper), 1.4), "spleen")]

    def _kidneys(self) -> list[Structure]:
        """Kidneys in their fat, with pyramids, sinus and pelvis."""
        t, rng = self._torso, self._rng
        result = []
        for side, name, z in ((-1, "right_kidney", -38.0), (1, "left_kidney", -24.0)):
            centre = t.spinal(side * (66 + 3 * rng.standard_normal()), 14, z) + [0, 0, 7 * rng.standard_normal()]
            k = float(np.clip(1 + 0.04 * rng.standard_normal(), 0.92, 1.08))
            axes = turned(degrees_x=-14, degrees_y=-side * 12, degrees_z=side * 28)
            bean = ellipsoid(centre, np.array([29, 26, 56]) * k, axes)
            hilum = centre - side * 25 * k * axes[0]
            sinus = ellipsoid(hilum + side * 4 * axes[0], np.array([19, 10, 26]) * k, axes)
            solid = intersection(bean, outside(sinus), blend=5.0)
            result += [
                Structure("visceral_fat", grown(bean, 9.0)),
                Structure("kidney_cortex", roughened(solid, 0.9), name),
            ]
            for u in np.linspace(-0.75, 0.75, 6):
                for v in (-1, 1):
                    offset = np.array([side * 4, v * 12 * k * np.sqrt(1 - u * u), u * 46 * k])
                    pyramid = ellipsoid(centre + offset @ axes, np.array([11, 6, 7]) * k, axes)
                    result.append(Structure("kidney_medulla", pyramid, None, within=name))
            pelvis = tube([hilum + side * 8 * axes[0], hilum - side * 10 * axes[0] + [0, -4, -8]], [6, 4])
            result += [Structure("urine", piece) for piece in pelvis]
        return result

    def _pancreas(self) -> list[Structure]:
        s = self._torso.spinal
        nodes = [s(-30, -52, -18), s(-22, -58, 4), s(8, -60, 14), s(45, -44, 26), s(78, -28, 42)]
        return [Structure("pancreas", roughened(union(*tube(nodes, [14, 12, 9, 10, 9]), blend=4.0), 1.8), "pancreas")]

    def adrenal_glands(self) -> list[Structure]:
        """A body with two limbs above each kidney; they enhance as the pancreas does."""
        result = []
        for side, name, z in ((-1, "right_adrenal_gland", 22.0), (1, "left_adrenal_gland", 30.0)):
            top = self._torso.spinal(side * 34, -14, z + 12)
            limbs = [*tube([top, top + [side * 6, 14, -18]], [4, 3]), *tube([top, top + [side * 15, 7, -16]], [4, 3])]
            result.append(Structure("pancreas", roughened(union(*limbs, blend=2.0), 0.5), name))
        return result
