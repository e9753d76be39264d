"""Blocks of scans that are classified, cut once and kept on disk, so that hundreds of scans need no memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache as remembered
from pathlib import Path
from typing import TypeVar

import numpy as np

from Med3DCore.geometry import triple
from Med3DCore.io import read_volume
from Med3DCore.preprocessing.cube import cut_block, require_inside, scan_middle
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CachedCase, CaseCache
from Med3DCore.training.cases.cache_key import entry_key, image_digest
from Med3DCore.training.cases.prepared import HEADROOM, Prepared, PreparedCase
from Med3DCore.training.classification.classified import ClassifiedCase

Shape = tuple[int, int, int]

Classified = TypeVar("Classified", bound=ClassifiedCase)

AROUND_POINT, AROUND_SCAN = 0.25, 0.08
"""Part of the patch that a block has more on every side, for turning and shifting: where the surroundings of a place go
on, and where there is mostly air."""


def block_shape(patch: Shape, margin: float = AROUND_POINT) -> Shape:
    """Shape of the block that is kept: the patch, and so much of it more on every side."""
    return triple(n + 2 * round(margin * n) for n in patch)


def middle_of(block: np.ndarray, patch: Shape) -> np.ndarray:
    """The patch in the middle of a block: what a classifier sees when it is used."""
    return block[tuple(slice((n - p) // 2, (n - p) // 2 + p) for n, p in zip(block.shape, patch, strict=True))]


def prepare_blocks(
    cases: Sequence[Classified],
    preprocessing: Preprocessing,
    shape: Shape,
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> list[Prepared[Classified]]:
    """Cut the block of every case; each scan is read once, and not at all if all of its blocks are in the cache.

    Args:
        cases: The cases, in any order.
        preprocessing: The model's preprocessing.
        shape: Shape (z, y, x) of a block, see :func:`block_shape`.
        cache: Where blocks are kept, or None to keep them in memory.
        progress: Followed, and may cancel.

    Returns:
        In the order of the cases: ``image`` is the block in the scan's units, ``target`` uint8 ``[classes, 1, 1, 1]``,
        the case's answer.

    Raises:
        DataError: A point lies outside of its scan.
        VolumeError: A scan cannot be read.
        Cancelled: The user stopped.
    """
    progress = progress or Progress()
    prepared: dict[str, Prepared[Classified]] = {}
    by_scan: dict[Path, list[Classified]] = {}
    for case in cases:
        by_scan.setdefault(case.image, []).append(case)
    for path, own in by_scan.items():
        scan = _Scan(path, preprocessing, shape)
        image = "" if cache is None else image_digest(path, "blake2b")
        for case in own:
            progress.update(len(prepared) / len(cases))
            prepared[case.name] = (
                scan.cut(case) if cache is None else _kept(cache, case, image, preprocessing, shape, scan.cut)
            )
    return [prepared[case.name] for case in cases]


def _kept(
    cache: CaseCache,
    case: Classified,
    image: str,
    preprocessing: Preprocessing,
    shape: Shape,
    cut: Callable[[Classified], PreparedCase[Classified]],
) -> CachedCase[Classified]:
    meaning = {"place": case.place, "answer": case.answer, "shape": shape}
    key = entry_key(image, {**meaning, "preprocessing": preprocessing.to_dict()})
    return cache.keep(case, key, lambda: cut(case))


class _Scan:
    """A scan that is read when the first block of it is cut."""

    def __init__(self, path: Path, preprocessing: Preprocessing, shape: Shape) -> None:
        self.preprocessing, self.shape = preprocessing, shape
        self.volume = remembered(lambda: read_volume(path))
        self.statistics = remembered(lambda: preprocessing.intensity.measure(self.volume()))

    def cut(self, case: Classified) -> PreparedCase[Classified]:
        """The block around a case's place."""
        volume, statistics = self.volume(), self.statistics()
        place = case.place or scan_middle(volume)
        require_inside(volume, place, f"'{case.name}'")
        block, grid = cut_block(volume, place, self.preprocessing.spacing, self.shape, statistics, headroom=HEADROOM)
        target = np.array(case.answer, np.uint8)[:, None, None, None]
        return PreparedCase(case, block, target, grid, statistics)
