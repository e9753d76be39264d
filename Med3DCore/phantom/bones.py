"""Ribs, sternum, shoulder girdle and pelvis; the spine has its own file."""

# ruff: noqa: RUF005 - an array plus three numbers is a vector sum here.

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import (
    Points,
    Shape,
    Structure,
    capsule,
    ellipsoid,
    grown,
    intersection,
    outside,
    roughened,
    smooth_max,
    tube,
    turned,
    union,
    upright,
)
from Med3DCore.phantom.spine import LEVELS, bone
from Med3DCore.phantom.torso import Torso, elbow, shoulder

_RIB_END = (150, 150, 148, 147, 145, 141, 135, 126, 115, 102, 76, 56)  # Azimuth where the bone of each pair ends.
_RIB_DROP = (34, 52, 66, 78, 88, 95, 98, 98, 96, 90, 64, 46)  # How far below its vertebra it ends, mm.
_CARTILAGE = (246, 228, 207, 186, 166, 147, 130)  # Height at which cartilages 1 to 7 reach the sternum, mm.


def ribs(torso: Torso) -> list[Structure]:
    """Cartilages, twelve pairs of ribs as the organ ``ribs``, and the sternum."""
    arcs, cartilages = [], []
    for side in (-1, 1):
        ends = []
        for number in range(12):
            nodes = _rib(torso, side, number)
            height = 6.6 if 0 < number < 10 else 5.2
            pieces = tube(nodes, [5.0, 5.0, *[height] * (len(nodes) - 2)])
            arcs += pieces[:2] + [_flat(piece, 6.3, 3.7) for piece in pieces[2:]]
            ends.append(nodes[-1])
        cartilages += _cartilages(torso, side, ends)
    result = [Structure("cartilage", piece) for piece in cartilages]
    result += [Structure("cortical_bone", roughened(piece, 0.3), "ribs") for piece in arcs]
    result += [Structure("trabecular_bone", grown(piece, -1.4), "ribs") for piece in arcs]
    return result + _sternum(torso)


def _rib(torso: Torso, side: int, number: int) -> list[np.ndarray]:
    """Nodes of a rib's centre line from its head at the vertebra to its front end."""
    z, end, drop = LEVELS[f"T{number + 1}"], _RIB_END[number], _RIB_DROP[number]
    nodes = [torso.spinal(side * 17, 11, z) + [0, 0, 7], torso.spinal(side * 33, 30, z) + [0, 0, 3]]
    for t in np.linspace(0, 1, max(6, end // 9)):
        point = torso.wall_point(24 + (end - 24) * t, z - drop * t**0.85, 6.5 + 2 * np.exp(-10 * t))
        nodes.append(point * [side, 1, 1])
    return nodes


def _flat(shape: Shape, depth: float, half: float, lean: float = 0.0) -> Shape:
    """The part of a shape that lies ``depth - half`` to ``depth + half`` mm outside of the inner wall.

    ``lean`` adds so many mm of depth for each mm to the left of the shape's centre.
    """
    centre = float(shape.lower[0] + shape.upper[0]) / 2

    def distance(p: Points) -> np.ndarray:
        middle = depth + lean * (p.x - centre) if lean else depth
        return smooth_max(shape.distance(p), np.abs(p.fields["wall"] - middle) - half, 3.0)

    return Shape(distance, shape.lower, shape.upper)


def _cartilages(torso: Torso, side: int, ends: list[np.ndarray]) -> list[Shape]:
    """From the ribs' ends to the sternum; those of ribs 8 to 10 join the one above."""
    pieces = []
    for end, height in zip(ends, _CARTILAGE, strict=False):
        edge = torso.ventral(side * 17, -5, height)
        middle = (end + edge) / 2 + [0, -3, -0.25 * max(0.0, edge[2] - end[2])]
        pieces += tube([end, middle, edge], [5.2, 5.0, 4.5])
    joint = middle
    for end in ends[7:10]:
        pieces.append(capsule(end, joint, 4.8, 4.0))
        joint = (end + joint) / 2
    return pieces


def _sternum(torso: Torso) -> list[Structure]:
    def plate(z: float, width: float, height: float) -> Shape:
        axes = upright(torso.ventral(0, 0, z - 15), torso.ventral(0, 0, z + 15))
        return ellipsoid(torso.ventral(0, -5.5, z), (width, 5.6, height), axes)

    blades = union(plate(240, 31, 27), plate(195, 17, 45), plate(150, 18, 40), blend=8)
    xiphoid = capsule(torso.ventral(0, -4, 118), torso.ventral(0, 0, 98), 5, 3)
    return [Structure("cartilage", xiphoid), *bone(roughened(blades, 0.8), shell=1.3)]


def shoulders(torso: Torso, arms: str) -> list[Structure]:
    """Clavicles, scapulae and upper arms."""
    result = []
    for side in (-1, 1):
        joint = shoulder(torso, side, arms)
        inner, tip = torso.ventral(side * 24, -6, 254), joint + [side * -12, -4, 26]
        clavicle = tube([inner, inner * 0.6 + tip * 0.4 + [0, -10, 4], tip], [8, 6, 7])
        middle = torso.wall_point(side * 48.0, 198.0, 19.0) + [0, 0, 14.0 if arms == "up" else 0.0]
        blade = _flat(ellipsoid(middle, (45, 45, 68), turned(degrees_y=side * 14)), 17.0, 2.2, side * 0.22)
        ridge = tube([middle + [-side * 38, 12, 32], middle + [side * 20, 16, 50], tip], [3.5, 5, 7])
        neck = capsule(joint + [-side * 24, 0, -4], middle + [side * 22, -12, 25], 10, 7)
        for piece in (*clavicle, roughened(blade, 0.8), *ridge, neck, ellipsoid(joint, (24, 24, 24))):
            result += bone(piece)
        result += bone(capsule(joint, elbow(torso, side, arms), 14, 11), shell=4.5, inside="marrow")
    return result


def pelvis(torso: Torso) -> list[Structure]:
    """Hip bones and femora."""
    wide = torso.width * (1.04 if torso.female else 1.0)
    result = []
    for side in (-1, 1):
        head = np.array([side * 92 * wide, -3, -239])
        wing = ellipsoid((side * 88 * wide, 6, -152), (68, 8, 66), turned(degrees_x=14, degrees_z=side * -51))
        hollow = ellipsoid((side * 62 * wide, -30, -140), (40, 50, 70), turned(degrees_z=side * -51))
        roof = capsule((side * 78 * wide, 12, -195), (side * 84 * wide, 4, -222), 15, 24)
        ischium = capsule((side * 74 * wide, 24, -245), (side * 58 * wide, 34, -290), 13, 12)
        pubis = capsule((side * 72 * wide, -26, -236), (side * 10, -52, -268), 9, 9)
        ramus = capsule((side * 12, -46, -276), (side * 56 * wide, 22, -302), 7, 8)
        plate = intersection(wing, outside(hollow), blend=3)
        hip = union(plate, roof, ellipsoid(head, (32, 32, 32)), ischium, pubis, ramus, blend=8)
        shaft = np.array([side * 148 * wide, 8, -270])
        femur = union(capsule(head, shaft, 14, 16), capsule(shaft, shaft + [side * -6, -6, -150], 20, 14), blend=10)
        result += bone(roughened(hip, 0.8), shell=1.8)
        result += [Structure("cartilage", ellipsoid(head, (26.5, 26.5, 26.5))), *bone(ellipsoid(head, (24, 24, 24)))]
        result += bone(femur, shell=2.5)
    return [*result, Structure("cartilage", ellipsoid((0, -52, -272), (5, 9, 18)))]
