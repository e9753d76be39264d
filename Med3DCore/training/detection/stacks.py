"""What a detector sees of a key slice: nine slices around it at the model's spacing, and its boxes there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from Med3DCore.boxes import Box
from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry, Triple
from Med3DCore.io.hounsfield_png import read_hounsfield_png
from Med3DCore.preprocessing import resample, world_grid
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.cache_key import content, entry_key
from Med3DCore.training.cases.prepared import HEADROOM, Prepared, PreparedCase
from Med3DCore.training.detection.key_slices import KeySlice
from Med3DCore.volume import Volume


def stack_grid(case: KeySlice, spacing: Triple, slices: int) -> Geometry:
    """The grid of what is seen: the whole picture, and so many slices around the key slice, which is at z = 0.

    Args:
        case: The key slice; millimetres count from the middle of its first pixel.
        spacing: Wanted spacing (x, y, z), mm.
        slices: How many, an odd number.
    """
    plane = world_grid(Geometry((*case.size, 1), case.spacing), spacing)
    origin = (plane.origin[0], plane.origin[1], -(slices // 2) * spacing[2])
    return Geometry((plane.size[0], plane.size[1], slices), spacing, origin)


def prepare_stack(case: KeySlice, preprocessing: Preprocessing, slices: int) -> PreparedCase[KeySlice]:
    """Read the slices that are needed and bring them to the network's grid.

    Between two slices values are interpolated linearly (papers.md B3.5); where the wanted ones are further apart they
    are averaged, as everywhere here. Beyond the first and last slice that there are these go on.

    Returns:
        ``image`` float32 ``[slices, y, x]`` in HU; ``target`` empty, for the boxes are the case's.

    Raises:
        DataError: A slice is damaged or of another size than the key slice.
    """
    grid = stack_grid(case, preprocessing.spacing, slices)
    numbers = _needed(case, preprocessing.spacing[2], slices)
    arrays = []
    for number in numbers:
        arrays.append(read_hounsfield_png(case.file(number)))
        if arrays[-1].shape != case.size[::-1]:
            raise DataError(
                f"{case.file(number)} has another size than {case.image.name} beside it: a folder must not hold slices "
                "of two scans."
            )
    origin = (0.0, 0.0, (numbers[0] - case.index) * case.spacing[2])
    volume = Volume(np.stack(arrays), Geometry((*case.size, len(numbers)), case.spacing, origin), case.name)
    statistics = preprocessing.intensity.measure(volume)
    clip = (statistics.low - HEADROOM, statistics.high + HEADROOM)
    beyond = slices * preprocessing.spacing[2]
    image = resample(volume.array, volume.geometry, grid, clip, statistics.floor, beyond_mm=beyond)
    return PreparedCase(case, image, np.zeros((1, 1, 1, 1), np.uint8), grid, statistics)


def prepare_stacks(
    cases: Sequence[KeySlice],
    preprocessing: Preprocessing,
    slices: int,
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> list[Prepared[KeySlice]]:
    """:func:`prepare_stack` of every case, from the cache if there is one.

    Raises:
        DataError: As :func:`prepare_stack`.
        OutputError: The cache cannot be written.
        Cancelled: The user stopped.
    """
    progress = progress or Progress()
    prepared: list[Prepared[KeySlice]] = []
    for case in cases:
        progress.update(len(prepared) / len(cases))
        if cache is None:
            prepared.append(prepare_stack(case, preprocessing, slices))
            continue
        files = [content(case.file(number)) for number in _needed(case, preprocessing.spacing[2], slices)]
        meaning = {"stack": files, "index": case.index, "first": case.first, "spacing": case.spacing, "slices": slices}
        key = entry_key(content(case.image), {**meaning, "preprocessing": preprocessing.to_dict()})
        prepared.append(cache.keep(case, key, partial(prepare_stack, case, preprocessing, slices)))
    return prepared


def boxes_on(grid: Geometry, boxes: Sequence[Box], spacing: Triple) -> np.ndarray:
    """Boxes in pixels of a picture as boxes in pixels of the network's grid, float64 ``[n, 4]``."""
    origin, scale = np.array(grid.origin[:2] * 2), np.array(grid.spacing[:2] * 2)
    return (np.reshape(boxes, (-1, 4)) * np.array(spacing[:2] * 2) - origin) / scale


def _needed(case: KeySlice, distance: float, slices: int) -> list[int]:
    """Numbers of the slices that are seen, as far as there are any."""
    reach = (slices // 2 + 1) * max(distance, case.spacing[2])
    near = int(np.ceil(reach / case.spacing[2]))
    return list(range(max(case.first, case.index - near), min(case.last, case.index + near) + 1))
