"""Stomach, duodenum, bowel, its mesentery, and the hollow and soft organs of the pelvis."""

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import (
    Shape,
    Structure,
    below,
    boxed,
    ellipsoid,
    field,
    grown,
    intersection,
    roughened,
    tube,
    union,
)
from Med3DCore.phantom.torso import Torso
from Med3DCore.phantom.trees import random_points, vessels


class Gut:
    """The hollow organs of one patient, who lies on the back: gas rises to the front.

    Args:
        torso: The trunk they lie in.
        rng: Source of their courses and contents.
    """

    def __init__(self, torso: Torso, rng: np.random.Generator) -> None:
        self._torso, self._rng = torso, rng

    def structures(self) -> list[Structure]:
        """Mesentery first, bladder last."""
        return [
            *self._mesentery(),
            *self._small_bowel(),
            *self._colon(),
            *self._duodenum(),
            *self._stomach(),
            *self._pelvis(),
        ]

    def _mesentery(self) -> list[Structure]:
        """Small vessels that give belly fat its strands."""
        front, top = below((0, 1, 0), (0, 15, 0)), below((0, 0, 1), (0, 0, 20))
        room = boxed(
            intersection(field("wall", 8.0), field("dome", 12.0), front, top), (-120, -120, -190), (120, 20, 20)
        )
        targets = random_points(self._rng, room, 150, self._torso)
        strands = vessels(self._torso.spinal(5, -56, -8), targets, 1.0, self._rng, "caval_blood", None)
        return [strand for strand in strands if strand.calibre < 10]

    def _small_bowel(self) -> list[Structure]:
        """Loops as random walks that turn back to the middle of the belly."""
        rng = self._rng
        centre, room = self._torso.ventral(14, 62, -85), np.array([84.0, 46.0, 78.0])
        result = []
        for _ in range(36):
            start = rng.standard_normal(3)
            nodes = [centre + room * start / np.linalg.norm(start) * rng.uniform(0.15, 1.0)]
            heading = rng.standard_normal(3)
            for _ in range(6):
                heading = heading / np.linalg.norm(heading) + 0.6 * rng.standard_normal(3)
                heading -= 0.5 * (nodes[-1] - centre) / room
                nodes.append(nodes[-1] + 17 * heading / np.linalg.norm(heading))
            content = "air" if rng.random() < 0.08 else str(rng.choice(["gut_fluid", "food"]))
            pieces = [roughened(piece, 1.2) for piece in tube(nodes, rng.uniform(9.5, 14))]
            result += _filled(pieces, 2.8, content)
        return result

    def _colon(self) -> list[Structure]:
        """The frame of the large bowel with stool, and gas in some of its haustra."""
        t, rng = self._torso, self._rng
        s, v, w = t.spinal, t.ventral, t.width
        course = np.array([
            s(-88 * w, -42, -165), s(-94 * w, -30, -100), s(-92 * w, -34, -52), v(-70 * w, 52, -36), v(-30, 30, -48),
            v(22, 30, -40), v(66 * w, 36, 2), s(92 * w, -40, 34), s(98 * w, -12, -8), s(100 * w, -18, -80),
            s(90 * w, -46, -142), s(58, -66, -190), s(10, -58, -186), s(-12, -40, -214), s(2, -24, -240),
            s(0, -22, -290),
        ])  # fmt: skip
        course[1:-2] += rng.normal(0, 5, course[1:-2].shape)
        steps = np.linspace(0, len(course) - 1, 64)
        nodes = np.stack([np.interp(steps, np.arange(len(course)), column) for column in course.T], axis=1)
        nodes[1:-1] = (nodes[:-2] + 2 * nodes[1:-1] + nodes[2:]) / 4
        radii = np.interp(steps, [0, 3, 8, 15], [25, 21, 17, 15]) * (1 + 0.16 * np.sin(np.arange(64) * 2.2))
        pieces = [intersection(roughened(p, 1.5), field("wall", 3.0), blend=3.0) for p in tube(list(nodes), radii)]
        result = _filled(pieces, 2.6, "stool")
        for first in range(0, len(pieces), 3):
            if rng.random() < 0.5:
                level = nodes[first][1] + radii[first] * rng.uniform(-0.4, 0.7)
                result += [_gas(grown(piece, -2.6), level) for piece in pieces[first : first + 3]]
        return result

    def _duodenum(self) -> list[Structure]:
        s = self._torso.spinal
        nodes = [s(-14, -74, 2), s(-46, -50, 0), s(-48, -36, -44), s(-20, -40, -60), s(24, -42, -52)]
        return _filled([roughened(piece, 1.2) for piece in tube(nodes, 12.0)], 3.5, "gut_fluid", "duodenum")

    def _stomach(self) -> list[Structure]:
        t, full = self._torso, self._rng.uniform(0.75, 1.15)
        fundus = ellipsoid(t.spinal(56, -44, 66), np.array([38, 40, 40]) * full)
        nodes = [t.spinal(58, -54, 54), t.ventral(52, 50, 16), t.ventral(22, 40, -8), t.spinal(-14, -72, 4)]
        body = tube(nodes, np.array([32, 28, 21, 13]) * full)
        bag = intersection(
            roughened(union(fundus, *body, blend=14.0), 2.0), field("wall", 6.0), field("dome", 4.0), blend=6.0
        )
        wall = boxed(bag, (-50, -150, -60), (130, 90, 130))
        level = t.ventral(0, self._rng.uniform(35, 70), 40)[1]
        return [*_filled([wall], 4.5, "food", "stomach"), _gas(grown(wall, -4.5), level, "stomach")]

    def _pelvis(self) -> list[Structure]:
        bladder = roughened(ellipsoid((0, -18, -242), np.array([42, 34, 30]) * self._rng.uniform(0.8, 1.2)), 1.2)
        womb_or_prostate = ellipsoid((0, 16, -240 if self._torso.female else -268), (26, 17, 22))
        return [Structure("soft", roughened(womb_or_prostate, 1.5)), *_filled([bladder], 3.5, "urine")]


def _filled(pieces: list[Shape], wall: float, content: str, organ: str = "") -> list[Structure]:
    """A hollow organ: the wall of all pieces, then their content."""
    result = [Structure("gut_wall", piece, organ) for piece in pieces]
    return result + [Structure(content, grown(piece, -wall), organ) for piece in pieces]


def _gas(shape: Shape, level: float, organ: str = "") -> Structure:
    """Gas in the part of a hollow in front of y = ``level`` mm."""
    return Structure("air", intersection(shape, below((0, 1, 0), (0, level, 0))), organ)
