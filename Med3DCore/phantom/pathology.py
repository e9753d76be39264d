"""Findings: lesions of the liver, nodules of the lungs, fluid around the lungs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from Med3DCore.phantom.abdomen import Abdomen
from Med3DCore.phantom.chest import Chest
from Med3DCore.phantom.shapes import Shape, Structure, below, ellipsoid, intersection, roughened, turned
from Med3DCore.phantom.torso import Torso
from Med3DCore.phantom.trees import random_points

Finding = Callable[[Torso, Chest, Abdomen, np.random.Generator], list[Structure]]


def _liver_lesions(torso: Torso, _: Chest, abdomen: Abdomen, rng: np.random.Generator) -> list[Structure]:
    """Two to seven round lesions of 1 to 6 cm, which remain part of the liver as in the LiTS labels."""
    spots = random_points(rng, abdomen.liver(), int(rng.integers(2, 8)), torso)
    shapes = [_ball(spot, float(np.clip(rng.lognormal(2.5, 0.5), 5, 30)), 1.6, rng) for spot in spots]
    return [Structure("liver_lesion", shape, None, within="liver") for shape in shapes]


def _lung_nodules(torso: Torso, chest: Chest, _: Abdomen, rng: np.random.Generator) -> list[Structure]:
    """One to six nodules of 6 to 30 mm, which remain part of the lung."""
    result = []
    for _nodule in range(int(rng.integers(1, 7))):
        side, name = ((-1, "right_lung"), (1, "left_lung"))[int(rng.integers(2))]
        spot = random_points(rng, chest.lung(side), 1, torso)
        for shape in (_ball(s, float(np.clip(rng.lognormal(1.8, 0.5), 3, 15)), 1.2, rng) for s in spot):
            result.append(Structure("nodule", shape, None, within=name))
    return result


def _effusion(torso: Torso, chest: Chest, _: Abdomen, rng: np.random.Generator) -> list[Structure]:
    """Fluid at the back of one or both pleural spaces, which is no longer lung."""
    sides = [(-1, "right_lung"), (1, "left_lung")]
    chosen = sides if rng.random() < 0.4 else [sides[int(rng.integers(2))]]
    result = []
    for side, name in chosen:
        level = torso.wall_point(0.0, 100.0)[1] - rng.uniform(15, 45)
        pool = intersection(chest.lung(side), below((0, -1, 0.12), (0, level, 60)), blend=12.0)
        result.append(Structure("effusion", roughened(pool, 1.0), "", within=name))
    return result


FINDINGS: dict[str, Finding] = {
    "liver_lesions": _liver_lesions,
    "lung_nodules": _lung_nodules,
    "effusion": _effusion,
}


def _ball(centre: np.ndarray, radius: float, rough: float, rng: np.random.Generator) -> Shape:
    radii = radius * rng.uniform(0.75, 1.25, 3)
    return roughened(ellipsoid(centre, radii, turned(*rng.uniform(0, 180, 3))), min(rough, 0.2 * radius))
