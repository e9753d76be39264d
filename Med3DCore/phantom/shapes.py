"""Solids as implicit functions: signed distance in mm, negative inside.

Coordinates are those of the standard patient: x to the left, y to the back, z to the head (LPS), zero in the midline at
the height of the first lumbar vertebra. Distances are exact near the surface for capsules and good to a few percent for
the others, which is all that partial volume needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Vector = Sequence[float] | np.ndarray


@dataclass
class Points:
    """A block of positions and the fields that many shapes share; arrays ``[z, y, x]`` float32.

    Args:
        x: Position in the standard patient in mm, to the left.
        y: Same, to the back.
        z: Same, to the head.
        fields: ``bump`` (details of 3 cm), ``lobe`` (of 6 cm) and ``grain`` (of 1 cm), random with unit deviation;
            ``skin``, ``muscle``, ``wall`` and ``dome``, the distances of :class:`Med3DCore.phantom.torso.Torso`.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    fields: dict[str, np.ndarray]

    def __getitem__(self, window: tuple[slice, slice, slice]) -> Points:
        return Points(
            self.x[window], self.y[window], self.z[window], {name: v[window] for name, v in self.fields.items()}
        )


@dataclass(frozen=True)
class Shape:
    """A solid.

    Args:
        distance: Signed distance in mm at points, negative inside.
        lower: Lowest corner (x, y, z) of a box that holds the solid; -inf where it has no end.
        upper: Highest corner.
    """

    distance: Callable[[Points], np.ndarray]
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Structure:
    """A solid made of one tissue. Later structures are painted over earlier ones.

    Args:
        tissue: Row of the contrast table.
        shape: Where it is.
        organ: Organ its inside belongs to from now on; ``""`` is none, ``None`` leaves what was there.
        within: Paint only inside this organ.
        calibre: Diameter in mm of a thin vessel, which fades with its cross section when smaller than a voxel.
    """

    tissue: str
    shape: Shape
    organ: str | None = ""
    within: str | None = None
    calibre: float = np.inf


def ellipsoid(centre: Vector, radii: Vector, axes: np.ndarray | None = None) -> Shape:
    """An ellipsoid; the rows of ``axes`` are the unit vectors of its radii (default: x, y, z)."""
    axes = np.eye(3) if axes is None else np.asarray(axes)
    rows = [[float(v) for v in row / r] for row, r in zip(axes, radii, strict=True)]
    inverse = [1.0 / float(r) for r in radii]
    cx, cy, cz = (float(c) for c in centre)
    oblique = not np.array_equal(axes, np.eye(3))

    def distance(p: Points) -> np.ndarray:
        x, y, z = p.x - cx, p.y - cy, p.z - cz
        if oblique:
            q = [row[0] * x + row[1] * y + row[2] * z for row in rows]
        else:
            q = [x * inverse[0], y * inverse[1], z * inverse[2]]
        level = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
        for axis, scale in zip(q, inverse, strict=True):
            axis *= scale
        slope = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
        return level * (level - 1.0) / (slope + 1e-6)

    half = np.sqrt(((axes * np.asarray(radii, dtype=float)[:, None]) ** 2).sum(axis=0))
    return Shape(distance, np.asarray(centre) - half, np.asarray(centre) + half)


def capsule(start: Vector, stop: Vector, radius: float, end_radius: float | None = None) -> Shape:
    """A rounded cylinder from ``start`` to ``stop`` whose radius changes linearly."""
    a, b = np.asarray(start, dtype=float), np.asarray(stop, dtype=float)
    end_radius = radius if end_radius is None else end_radius
    (ax, ay, az), (bx, by, bz) = a.tolist(), (b - a).tolist()
    scale = 1.0 / max(float((b - a) @ (b - a)), 1e-6)

    def distance(p: Points) -> np.ndarray:
        x, y, z = p.x - ax, p.y - ay, p.z - az
        along = np.clip((x * bx + y * by + z * bz) * scale, 0.0, 1.0)
        x -= along * bx
        y -= along * by
        z -= along * bz
        x *= x
        y *= y
        z *= z
        x += y
        x += z
        return np.sqrt(x, out=x) - (radius + (end_radius - radius) * along)

    low = np.minimum(a - radius, b - end_radius)
    return Shape(distance, low, np.maximum(a + radius, b + end_radius))


def tube(nodes: Sequence[Vector], radii: float | Vector) -> list[Shape]:
    """Capsules along a polyline. ``radii`` is one radius or one for each node."""
    each = [float(radii)] * len(nodes) if isinstance(radii, int | float) else list(radii)
    pairs = zip(nodes[:-1], nodes[1:], each[:-1], each[1:], strict=True)
    return [capsule(a, b, r, s) for a, b, r, s in pairs]


def below(normal: Vector, point: Vector) -> Shape:
    """The half space behind the plane through ``point``; ``normal`` points out of it."""
    n = np.asarray(normal, dtype=float)
    nx, ny, nz = (n / np.linalg.norm(n)).tolist()
    offset = float(np.dot([nx, ny, nz], point))
    return endless(lambda p: p.x * nx + p.y * ny + p.z * nz - offset)


def field(name: str, inset: float = 0.0) -> Shape:
    """The inside of a shared distance field, made smaller by ``inset`` mm."""
    return endless(lambda p: p.fields[name] + inset)


def outside(shape: Shape) -> Shape:
    """Everything but the shape."""
    return endless(lambda p: -shape.distance(p))


def union(*shapes: Shape, blend: float = 0.0) -> Shape:
    """What is in any of the shapes; a ``blend`` in mm rounds the seams."""

    def distance(p: Points) -> np.ndarray:
        result = shapes[0].distance(p)
        for shape in shapes[1:]:
            result = smooth_min(result, shape.distance(p), blend)
        return result

    low = np.min([s.lower for s in shapes], axis=0)
    return Shape(distance, low - blend / 4, np.max([s.upper for s in shapes], axis=0) + blend / 4)


def intersection(*shapes: Shape, blend: float = 0.0) -> Shape:
    """What is in all of the shapes; a ``blend`` in mm rounds the edges."""

    def distance(p: Points) -> np.ndarray:
        result = shapes[0].distance(p)
        for shape in shapes[1:]:
            result = smooth_max(result, shape.distance(p), blend)
        return result

    return Shape(distance, np.max([s.lower for s in shapes], axis=0), np.min([s.upper for s in shapes], axis=0))


def boxed(shape: Shape, lower: Vector, upper: Vector) -> Shape:
    """The same shape with a box that the caller knows to hold it."""
    return Shape(shape.distance, np.asarray(lower, dtype=float), np.asarray(upper, dtype=float))


def grown(shape: Shape, mm: float) -> Shape:
    """The shape with its surface moved outwards."""
    return Shape(lambda p: shape.distance(p) - mm, shape.lower - mm, shape.upper + mm)


def roughened(shape: Shape, mm: float, name: str = "bump") -> Shape:
    """The shape with its surface moved by a random field of ``mm`` standard deviation."""
    return Shape(lambda p: shape.distance(p) + mm * p.fields[name], shape.lower - 3 * mm, shape.upper + 3 * mm)


def turned(degrees_x: float = 0.0, degrees_y: float = 0.0, degrees_z: float = 0.0) -> np.ndarray:
    """Unit vectors (rows) of axes turned about x, then y, then z."""
    a, b, c = np.deg2rad([degrees_x, degrees_y, degrees_z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (about_z @ about_y @ about_x).T


def upright(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Unit vectors (rows) of axes whose third runs from ``low`` to ``high``, two points of the same x."""
    return turned(degrees_x=-np.rad2deg(np.arctan2(high[1] - low[1], high[2] - low[2])))


def smooth_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Minimum whose crease is rounded over ``blend`` mm (quadratic)."""
    if blend <= 0:
        return np.minimum(a, b)
    overlap = np.maximum(blend - np.abs(a - b), 0.0)
    return np.minimum(a, b) - overlap * overlap * (0.25 / blend)


def smooth_max(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Maximum whose crease is rounded over ``blend`` mm (quadratic)."""
    if blend <= 0:
        return np.maximum(a, b)
    overlap = np.maximum(blend - np.abs(a - b), 0.0)
    return np.maximum(a, b) + overlap * overlap * (0.25 / blend)


def endless(distance: Callable[[Points], np.ndarray]) -> Shape:
    """A solid without a box."""
    return Shape(distance, np.full(3, -np.inf), np.full(3, np.inf))
