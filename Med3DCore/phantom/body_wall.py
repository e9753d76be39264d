"""What encloses the organs: skin, fat, breasts, shoulders, arms and the muscles of the trunk."""

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import (
    Points,
    Shape,
    Structure,
    capsule,
    ellipsoid,
    endless,
    field,
    grown,
    roughened,
    tube,
    turned,
    upright,
)
from Med3DCore.phantom.torso import Torso, elbow, shoulder


def structures(torso: Torso, arms: str) -> list[Structure]:
    """Skin, fat, glands, muscle and the fat that fills the cavity, each over the one before."""
    limbs, breasts = _limbs(torso, arms), _breasts(torso)
    solids = [field("skin"), *limbs, *breasts]
    result = [Structure("skin", solid) for solid in solids]
    result += [Structure("fat", grown(solid, -2.0)) for solid in solids]
    result += [Structure("gland", roughened(grown(breast, -15.0), 5.0)) for breast in breasts]
    result += [Structure("muscle", grown(limb, -9 * torso.fat - 2)) for limb in limbs]
    result += [Structure("muscle", field("muscle"))]
    result += [Structure("fat", _sheet(depth * torso.strength)) for depth in (6.5, 15.0)]
    return [*result, Structure("visceral_fat", field("wall", 1.0))]


def muscles(torso: Torso) -> list[Structure]:
    """Psoas, iliacus and the crura of the diaphragm, which lie inside the cavity."""
    result = []
    for side in (-1, 1):
        psoas = [
            torso.spinal(side * 24, 2, 15),
            torso.spinal(side * 38, 4, -50),
            torso.spinal(side * 48, 2, -105),
            torso.spinal(side * 62, -24, -170),
            np.array([side * 84, -34, -232]),
            np.array([side * 92, -20, -280]),
        ]
        crus = [
            torso.spinal(side * 9 + 4, -30, 82),
            torso.spinal(side * 13, -24, 40),
            torso.spinal(side * 12, -22, -10),
        ]
        iliacus = ellipsoid((side * 82, 2, -150), (50, 13, 50), turned(degrees_z=side * -51))
        pieces = tube(psoas, np.array([7, 17, 22, 19, 15, 12]) * torso.strength)
        result += [roughened(piece, 1.0) for piece in [*pieces, iliacus]] + tube(crus, [4.5, 6, 4])
    return [Structure("muscle", piece) for piece in result]


def _limbs(torso: Torso, arms: str) -> list[Shape]:
    """Shoulders and upper arms with their fat."""
    result = []
    for side in (-1, 1):
        joint = shoulder(torso, side, arms)
        yoke = ellipsoid(joint * [0.6, 1, 1] + [0, 6, -20], (92, 52, 58), turned(degrees_y=side * 14))
        arm = capsule(joint, elbow(torso, side, arms), 46, 38)
        result += [roughened(solid, 1.5) for solid in (ellipsoid(joint, (56, 48, 50)), yoke, arm)]
    return result


def _breasts(torso: Torso) -> list[Shape]:
    if not torso.female:
        return []
    radii = np.array([58, 30, 55]) * (0.75 + 0.35 * min(torso.fat, 1.6))
    axes = upright(torso.ventral(0, 0, 130), torso.ventral(0, 0, 210))
    return [roughened(ellipsoid(torso.ventral(side * 82, -15, 166), radii, axes), 2.0) for side in (-1, 1)]


def _sheet(depth: float) -> Shape:
    """Patches of thin fat between muscles, ``depth`` mm below the surface of the muscle wall."""

    def distance(p: Points) -> np.ndarray:
        return np.abs(p.fields["muscle"] + depth + 3 * p.fields["lobe"]) + 0.3 - 0.9 * p.fields["bump"]

    return endless(distance)
