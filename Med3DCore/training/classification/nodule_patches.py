"""Blocks around nodules, cut once and kept on disk, so that hundreds of scans need not fit into the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache as remembered
from pathlib import Path

import numpy as np

from Med3DCore.geometry import triple
from Med3DCore.io import read_volume
from Med3DCore.preprocessing.cube import cut_block, require_inside
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CachedCase, CaseCache
from Med3DCore.training.cases.cache_key import entry_key, image_digest
from Med3DCore.training.cases.prepared import HEADROOM, Prepared, PreparedCase
from Med3DCore.training.classification.nodules import Nodule

Shape = tuple[int, int, int]

_MARGIN = 0.25


def block_shape(patch: Shape) -> Shape:
    """Shape of the block that is kept: the patch, and a quarter of it on every side for turning and shifting."""
    return triple(n + 2 * round(_MARGIN * n) for n in patch)


def middle_of(block: np.ndarray, patch: Shape) -> np.ndarray:
    """The patch in the middle of a block: what a classifier sees when it is used."""
    return block[tuple(slice((n - p) // 2, (n - p) // 2 + p) for n, p in zip(block.shape, patch, strict=True))]


def prepare_nodules(
    nodules: Sequence[Nodule],
    preprocessing: Preprocessing,
    patch: Shape,
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> list[Prepared[Nodule]]:
    """Cut the block around every nodule; each scan is read once, and not at all if all of its blocks are in the cache.

    Args:
        nodules: The nodules, in any order.
        preprocessing: The model's preprocessing.
        patch: Shape (z, y, x) of what the network sees.
        cache: Where blocks are kept, or None to keep them in memory.
        progress: Followed, and may cancel.

    Returns:
        In the order of the nodules: ``image`` is the block in the scan's units, ``target`` uint8 ``[1, 1, 1, 1]``: 1
        if it is malignant.

    Raises:
        DataError: A nodule lies outside of its scan.
        VolumeError: A scan cannot be read.
        Cancelled: The user stopped.
    """
    progress, shape = progress or Progress(), block_shape(patch)
    prepared: dict[str, Prepared[Nodule]] = {}
    for scan in dict.fromkeys(nodule.image for nodule in nodules):
        cut = _Scan(scan, preprocessing, shape).cut
        image = "" if cache is None else image_digest(scan, "blake2b")
        for nodule in (each for each in nodules if each.image == scan):
            progress.update(len(prepared) / len(nodules))
            prepared[nodule.name] = (
                cut(nodule) if cache is None else _kept(cache, nodule, image, preprocessing, shape, cut)
            )
    return [prepared[nodule.name] for nodule in nodules]


def _kept(
    cache: CaseCache,
    nodule: Nodule,
    image: str,
    preprocessing: Preprocessing,
    shape: Shape,
    cut: Callable[[Nodule], PreparedCase[Nodule]],
) -> CachedCase[Nodule]:
    meaning = {"centre": nodule.centre, "malignant": nodule.malignant, "shape": shape}
    key = entry_key(image, {**meaning, "preprocessing": preprocessing.to_dict()})
    return cache.keep(nodule, key, lambda: cut(nodule))


class _Scan:
    """A scan that is read when the first block of it is cut."""

    def __init__(self, path: Path, preprocessing: Preprocessing, shape: Shape) -> None:
        self.preprocessing, self.shape = preprocessing, shape
        self.volume = remembered(lambda: read_volume(path))
        self.statistics = remembered(lambda: preprocessing.intensity.measure(self.volume()))

    def cut(self, nodule: Nodule) -> PreparedCase[Nodule]:
        """The block around a nodule."""
        volume, statistics = self.volume(), self.statistics()
        require_inside(volume, nodule.centre, f"Nodule '{nodule.name}'")
        block, grid = cut_block(
            volume, nodule.centre, self.preprocessing.spacing, self.shape, statistics, headroom=HEADROOM
        )
        target = np.full((1, 1, 1, 1), nodule.malignant, np.uint8)
        return PreparedCase(nodule, block, target, grid, statistics)
