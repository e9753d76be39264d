"""Branching trees that fill a solid: the vessels of lung, liver and mesentery."""

from __future__ import annotations

import numpy as np

from Med3DCore.phantom.shapes import Shape, Structure, capsule
from Med3DCore.phantom.torso import Torso

MURRAY = 2.7  # Exponent of the law of branching radii; Murray's is 3, measured trees have 2.3 to 3.
DETOUR = 0.75  # How much a target prefers the node with the short way to the root over the nearest node.


def random_points(rng: np.random.Generator, shape: Shape, count: int, torso: Torso) -> np.ndarray:
    """At most ``count`` points (n, 3) in mm spread evenly through a solid with a finite box, 2 mm below its surface."""
    tries = rng.uniform(shape.lower, shape.upper, size=(count * 8, 3))
    inside = shape.distance(torso.plain_points(tries)).ravel() < -2.0
    return tries[inside][:count]


def tree(
    root: np.ndarray, targets: np.ndarray, leaf: float, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray, float, float]]:
    """Connect targets to a root by short paths.

    Each target, nearest first, hangs on the node that gives the shortest way to the root, with a bend half way. Radii
    follow Murray's law from the leaves to the root.

    Args:
        root: Start (x, y, z) in mm.
        targets: Where the leaves end, (n, 3) mm.
        leaf: Radius of a leaf in mm.
        rng: Source of the bends.

    Returns:
        Segments (start, stop, start radius, stop radius).
    """
    count = 1 + 2 * len(targets)
    nodes, path, parent = np.empty((count, 3)), np.zeros(count), np.zeros(count, dtype=int)
    nodes[0] = root
    order = np.argsort(np.linalg.norm(targets - root, axis=1))
    for bend, target in zip(range(1, count, 2), targets[order], strict=True):
        gap = np.linalg.norm(nodes[:bend] - target, axis=1)
        start = int(np.argmin(gap + DETOUR * path[:bend]))
        nodes[bend] = (nodes[start] + target) / 2 + rng.standard_normal(3) * 0.04 * gap[start]
        nodes[bend + 1] = target
        parent[bend : bend + 2] = start, bend
        path[bend : bend + 2] = path[start] + gap[start] / 2, path[start] + gap[start]
    leaves = np.zeros(count)
    for i in range(count - 1, 0, -1):
        leaves[i] = max(leaves[i], 1.0)
        leaves[parent[i]] += leaves[i]
    radius = leaf * leaves ** (1 / MURRAY)
    return [
        (nodes[parent[i]], nodes[i], float(min(radius[parent[i]], 1.15 * radius[i])), float(radius[i]))
        for i in range(1, count)
    ]


def vessels(
    root: np.ndarray, targets: np.ndarray, leaf: float, rng: np.random.Generator, tissue: str, within: str | None
) -> list[Structure]:
    """A :func:`tree` as structures of ``tissue`` that leave the organ they run in what it was."""
    return [
        Structure(tissue, capsule(a, b, ra, rb), organ=None, within=within, calibre=2 * rb)
        for a, b, ra, rb in tree(root, targets, leaf, rng)
    ]
