"""The trunk of the standard patient: skin, fat, muscle wall, inner cavity, diaphragm and the space of the spine.

Each is a tube of nearly elliptical cross sections whose half axes follow a table of heights. Their distances are
computed once for a block of points and shared by all organs, which is how the organs fit each other without gaps.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from Med3DCore.phantom.fields import stream
from Med3DCore.phantom.shapes import Points, smooth_max, smooth_min

# Height z; half width, half depth and centre y of the inner cavity; thickness of the wall (ribs, muscle) at the side,
# front and back; of the fat at the side, front and back; y of the vertebral bodies. All mm, read off CTs of adults.
_TABLE = np.array(
    [
        (-340, 14, 12, 0, 130, 66, 78, 16, 16, 16, 62),
        (-290, 40, 38, 2, 106, 34, 64, 18, 18, 18, 70),
        (-260, 62, 60, -4, 86, 18, 52, 20, 20, 18, 72),
        (-230, 78, 68, -8, 68, 14, 46, 20, 22, 18, 65),
        (-195, 98, 72, -8, 46, 12, 40, 19, 22, 18, 51),
        (-160, 113, 73, -10, 24, 11, 36, 18, 22, 17, 34),
        (-110, 120, 74, -15, 17, 11, 34, 17, 21, 16, 20),
        (-60, 121, 79, -17, 15, 11, 33, 15, 18, 14, 17),
        (-20, 123, 85, -13, 15, 11, 31, 13, 15, 12, 22),
        (20, 126, 91, -10, 15, 11, 28, 12, 12, 11, 30),
        (60, 128, 93, -9, 15, 11, 26, 11, 10, 10, 39),
        (100, 128, 93, -8, 16, 12, 25, 11, 9, 10, 46),
        (140, 126, 90, -7, 20, 14, 25, 11, 9, 10, 51),
        (180, 121, 83, -4, 28, 19, 26, 11, 9, 10, 50),
        (220, 112, 72, 2, 38, 22, 30, 11, 9, 11, 45),
        (250, 100, 58, 8, 46, 20, 35, 11, 8, 12, 37),
        (270, 86, 47, 10, 52, 20, 40, 10, 8, 13, 31),
        (285, 67, 38, 10, 58, 18, 42, 9, 7, 13, 25),
        (305, 44, 32, 6, 50, 16, 40, 8, 6, 10, 17),
        (330, 42, 32, 0, 20, 14, 32, 7, 5, 8, 8),
        (420, 42, 34, -4, 15, 14, 26, 7, 5, 8, 2),
    ],
    dtype=np.float64,
)
_SQUARE = 0.3  # Share of the fourth-power ellipse in a cross section; the rest is an ellipse.
_SKIN = 2.5  # Added to the fat so that the leanest patient keeps some, mm.

Tube = tuple[np.ndarray, np.ndarray, np.ndarray]  # Half width, half depth and centre y at each height.


class Torso:
    """The trunk of one patient.

    Args:
        seed: The patient.
        fatness: Factor on the fat of the table, before the patient's own variation.

    Attributes:
        width: Factor on the cavity's width.
        fat: Factor on the fat.
        strength: Factor on the muscle wall.
        female: Has breasts and a wider pelvis.
        dome_right: Height of the right diaphragm in mm.
        dome_left: Height of the left diaphragm in mm.
        back: y of the flat back of a patient who lies on a table, mm.
    """

    def __init__(self, seed: int, fatness: float = 1.0) -> None:
        rng = stream(seed, "torso")
        self.width, depth_factor = np.clip(1 + 0.045 * rng.standard_normal(2), 0.9, 1.1).tolist()
        self.fat = fatness * float(np.exp(0.35 * np.clip(rng.standard_normal(), -2, 2)))
        self.strength = 1 + 0.1 * float(np.clip(rng.standard_normal(), -2, 2))
        self.female = bool(rng.random() < 0.5)
        breath = 6 * float(np.clip(rng.standard_normal(), -2, 2))
        self.dome_right, self.dome_left = (
            108.0 + breath,
            98.0 + breath + 3 * float(np.clip(rng.standard_normal(), -2, 2)),
        )
        self._recess = 34.0 + 0.7 * breath

        self._heights = np.arange(_TABLE[0, 0], _TABLE[-1, 0] + 1, 2.0)
        columns = PchipInterpolator(_TABLE[:, 0], _TABLE[:, 1:], axis=0)(self._heights).T
        self._inner: Tube = (columns[0] * self.width, columns[1] * depth_factor, columns[2])
        self._outer = _around(self._inner, columns[3:6] * self.strength)
        self._skin = _around(self._outer, columns[6:9] * self.fat + _SKIN)
        self._spine = columns[9]
        lying = (self._heights > -20) & (self._heights < 150)
        self.back = float((self._skin[2] + self._skin[1])[lying].max()) - 5.0

    def spinal(self, x: float, y: float, z: float) -> np.ndarray:
        """A point ``y`` mm behind the centre line of the vertebral bodies."""
        return np.array([x, np.interp(z, self._heights, self._spine) + y, z])

    def ventral(self, x: float, y: float, z: float) -> np.ndarray:
        """A point ``y`` mm behind the front of the inner cavity in the midline."""
        return np.array([x, self.wall_point(180.0, z)[1] + y, z])

    def wall_point(self, azimuth: float, z: float, outward: float = 0.0) -> np.ndarray:
        """A point on the inner wall moved outward by mm; azimuth in degrees is 0 at the back, 90 at the left."""
        width, depth, centre = (float(np.interp(z, self._heights, column)) for column in self._inner)
        s, c = np.sin(np.deg2rad(azimuth)), np.cos(np.deg2rad(azimuth))
        ray = 1.0 / (1 - _SQUARE + _SQUARE * (s**4 + c**4) ** 0.25)
        flat = np.array([width * s * ray, depth * c * ray])
        flat *= 1 + outward / np.linalg.norm(flat)
        return np.array([flat[0], centre + flat[1], z])

    def extent(self, low: float, high: float) -> tuple[float, float, float]:
        """Largest half width, front y and back y of the skin between two heights, mm."""
        part = (self._heights >= low - 2) & (self._heights <= high + 2)
        width, depth, centre = (column[part] for column in self._skin)
        return float(width.max()), float((centre - depth).min()), min(float((centre + depth).max()), self.back)

    def measure(self, points: Points, level: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Add the distances ``skin``, ``muscle``, ``wall`` and ``dome`` to the fields of a block of points.

        Args:
            points: The block; has the random fields already.
            level: The same points (x, y, z) before deformation, may be broadcastable. Their heights look up the table,
                which costs nothing where they are constant over a slice; their y makes the back flat.
        """
        bump, lobe = points.fields["bump"], points.fields["lobe"]
        _, flat, z = level
        skin = self._tube(self._skin, points, z) - 1.5 * lobe
        wall = smooth_max(self._tube(self._inner, points, z), -self._column(points, z), 10.0)
        points.fields["skin"] = smooth_max(skin, (flat - self.back).astype(np.float32), 14.0)
        points.fields["muscle"] = self._tube(self._outer, points, z) + 1.2 * bump
        points.fields["wall"] = wall
        points.fields["dome"] = self._dome(points, wall)

    def plain_points(self, array: np.ndarray) -> Points:
        """Points of an array (n, 3) in the undeformed patient, shaped ``[n, 1, 1]``, with all random fields zero."""
        x, y, z = (np.ascontiguousarray(array[:, i], dtype=np.float32).reshape(-1, 1, 1) for i in range(3))
        zero = np.zeros_like(x)
        points = Points(x, y, z, {"bump": zero, "lobe": zero, "grain": zero})
        self.measure(points, (x, y, z))
        return points

    def _at(self, column: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.interp(z, self._heights, column).astype(np.float32)

    def _tube(self, tube: Tube, points: Points, z: np.ndarray) -> np.ndarray:
        """Distance to a tube along the ray from its axis."""
        width, depth, centre = (self._at(column, z) for column in tube)
        x, y = points.x, points.y - centre
        u, v = (x / width) ** 2, (y / depth) ** 2
        level = (1 - _SQUARE) * np.sqrt(u + v) + _SQUARE * np.sqrt(np.sqrt(u * u + v * v))
        return np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(level, 0.05))

    def _column(self, points: Points, z: np.ndarray) -> np.ndarray:
        """Distance to the space around the spine that no organ of chest or belly enters."""
        half = np.interp(z, [-120, 0, 60, 160, 280], [36, 32, 25, 21, 19]).astype(np.float32)
        u, v = points.x / half, (points.y - self._at(self._spine, z) - 24) / 41
        return (np.sqrt(u * u + v * v) - 1) * half

    def _dome(self, points: Points, wall: np.ndarray) -> np.ndarray:
        """Height above the diaphragm: two domes whose edges run down the wall to the recess, deepest at the back."""
        x, y, z = points.x, points.y, points.z
        right, left = x + 62 * self.width, x - 62 * self.width
        cap = smooth_min(z - self.dome_right + right * right / 125, z - self.dome_left + left * left / 125, 60.0)
        cap += (y + 25) ** 2 / 210 + 2 * points.fields["lobe"]
        above_recess = z - (self._recess - 0.42 * y) + 2 * points.fields["bump"]
        rise = np.maximum(above_recess, 0.0)
        edge = wall + 0.16 * rise + 0.003 * rise * rise
        inside = smooth_max(cap, edge, 45.0)
        return np.where(rise > 0, inside, np.minimum(inside, above_recess))


def _around(inner: Tube, thickness: np.ndarray) -> Tube:
    """The tube that encloses another at given distances (side, front, back)."""
    width, depth, centre = inner
    side, front, back = thickness
    low, high = centre - depth - front, centre + depth + back
    return width + side, (high - low) / 2, (high + low) / 2


def shoulder(torso: Torso, side: int, arms: str) -> np.ndarray:
    """Centre of the shoulder joint; ``side`` is -1 for the right and 1 for the left, arms "up" or "down"."""
    return np.array([side * 156.0 * torso.width, 6.0, 286.0 if arms == "up" else 262.0])


def elbow(torso: Torso, side: int, arms: str) -> np.ndarray:
    """Where the upper arm ends."""
    return np.array(
        [side * 192.0 * torso.width, -20.0, 480.0] if arms == "up" else [side * 236.0 * torso.width, 15.0, -120.0]
    )
