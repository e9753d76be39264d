"""The vertebral column: vertebrae from C5 to L5, discs, spinal canal and sacrum."""

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import (
    Shape,
    Structure,
    below,
    boxed,
    capsule,
    ellipsoid,
    grown,
    intersection,
    outside,
    roughened,
    tube,
    turned,
    union,
    upright,
)
from Med3DCore.phantom.torso import Torso

# Height of the centre of each vertebral body in mm.
LEVELS = {
    "C5": 337, "C6": 321, "C7": 305, "T1": 288, "T2": 269, "T3": 249, "T4": 228, "T5": 207, "T6": 185, "T7": 162,
    "T8": 138, "T9": 114, "T10": 88, "T11": 61, "T12": 32, "L1": 0, "L2": -36, "L3": -73, "L4": -110, "L5": -147,
}  # fmt: skip


def bone(shape: Shape, organ: str = "", shell: float = 1.6, inside: str = "trabecular_bone") -> list[Structure]:
    """A bone with a cortical shell of ``shell`` mm."""
    return [Structure("cortical_bone", shape, organ), Structure(inside, grown(shape, -shell), organ)]


def structures(torso: Torso, rng: np.random.Generator) -> list[Structure]:
    """The column as the organ ``spine``; the canal is cut out."""
    heights = np.array(list(LEVELS.values()), dtype=float)
    gaps = np.append(heights[0] - heights[1], heights[:-1] - heights[1:])
    result = []
    for name, z, gap in zip(LEVELS, heights, gaps, strict=True):
        axes = upright(torso.spinal(0, 0, z - 8), torso.spinal(0, 0, z + 8))
        size = np.interp(z, [-147, 0, 160, 290, 337], [26, 23, 17.5, 14, 12.5]) * (1 + 0.02 * rng.standard_normal())
        disc = (torso.spinal(0, 0, z) + torso.spinal(0, 0, z + gap)) / 2
        result.append(Structure("disc", ellipsoid(disc, (size * 0.97, size * 0.72, gap * 0.31), axes), "spine"))
        centre = torso.spinal(0, 0, z)
        result += bone(_arch(centre, size, gap / 2, axes, lumbar=name.startswith("L")), "spine", 1.8)
        result += bone(_body(centre, size, gap / 2, axes), "spine", 1.1)
    result += _sacrum(torso)
    canal = [torso.spinal(0, _canal(z), z) for z in range(-200, 361, 20)]
    result += [Structure("visceral_fat", piece) for piece in tube(canal, 9.0)]
    return result + [Structure("cord", piece) for piece in tube(canal, 7.0)]


def _canal(z: float) -> float:
    """How far the centre of the spinal canal lies behind that of the vertebral bodies, mm."""
    return float(np.interp(z, [-147, 0, 160, 320], [27, 26, 23, 17]))


def _body(centre: np.ndarray, size: float, half: float, axes: np.ndarray) -> Shape:
    """A waisted cylinder with flat ends; ``half`` is half the distance to the next vertebra."""
    barrel = ellipsoid(centre, (size, size * 0.76, half * 2.4), axes)
    ends = [below(sign * axes[2], centre + sign * axes[2] * half * 0.86) for sign in (1, -1)]
    reach = np.array([size, size, half + 4])
    return boxed(roughened(intersection(barrel, *ends, blend=4.0), 0.4), centre - reach, centre + reach)


def _arch(centre: np.ndarray, size: float, half: float, axes: np.ndarray, lumbar: bool) -> Shape:
    """Pedicles, laminae, joints, spinous and transverse processes."""

    def at(x: float, y: float, z: float) -> np.ndarray:
        return centre + x * axes[0] + y * axes[1] + z * axes[2]

    k, back = size / 18.0, _canal(float(centre[2]))
    drop = -7.0 if lumbar else -5.0 - 16.0 * k
    parts = [capsule(at(0, back + 12, -3), at(0, back + 31 * min(k, 1.1), drop), 4.2 * k, 3.6 * k)]
    for side in (-1, 1):
        tip = at(side * 38, back + 6, 4) if lumbar else at(side * 31 * k, back + 11, 4)
        parts += [
            capsule(at(side * 11 * k, 8, 3), at(side * 13 * k, back + 2, 1), 4.2 * k),
            capsule(at(side * 13 * k, back + 2, 1), at(0, back + 12, -4), 3.6 * k),
            capsule(at(side * 14 * k, back + 3, 1), tip, 4.4, 3.2),
            ellipsoid(at(side * 14 * k, back + 6, -half * 0.5), (5.5 * k, 5 * k, half * 0.8)),
        ]
    return roughened(union(*parts, blend=3.0), 0.4)


def _sacrum(torso: Torso) -> list[Structure]:
    plate = ellipsoid(torso.spinal(0, 6, -210), (54, 20, 52), turned(degrees_x=24))
    tail = capsule(torso.spinal(0, 3, -247), torso.spinal(0, -4, -292), 9, 4)
    hollow = ellipsoid(torso.spinal(0, -42, -225), (60, 40, 60))
    return bone(roughened(intersection(union(plate, tail, blend=8), outside(hollow), blend=6), 1.2), "spine", 1.5)
