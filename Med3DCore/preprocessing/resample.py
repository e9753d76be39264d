"""Take a volume from one grid to another, in physical space.

Between grids that run along the patient's axes (in any order and sign) linear interpolation is separable: one small
weight matrix an axis. That is exact for stored flips and permutations, needs no copy in float of the whole volume, and
averages over the target voxel when it makes a volume coarser, so that a sharp scan and a smooth one look alike to
the network. Oblique grids go through SimpleITK, after the same averaging along their own axes.

Nothing here is a matrix product: numpy leaves those to OpenBLAS, whose threads wait by spinning. Beside one other busy
program that made a scan take 20 s instead of 1.
"""

from __future__ import annotations

import numpy as np

from Med3DCore.geometry import IDENTITY, Geometry, triple
from Med3DCore.system.threads import in_threads
from Med3DCore.volume import Volume

# Source voxels that a thread turns into float32 at a time: 16 MiB, small beside any network.
_CHUNK_VOXELS = 1 << 22


def resample(
    array: np.ndarray,
    source: Geometry,
    target: Geometry,
    clip: tuple[float, float] | None = None,
    fill: float = 0.0,
    beyond_mm: float = 0.0,
) -> np.ndarray:
    """Linear interpolation from one grid to another, averaging where the target is coarser.

    Args:
        array: Values ``[z, y, x]`` of any real dtype.
        source: Grid of ``array``.
        target: Wanted grid.
        clip: Lowest and highest value, applied before interpolation, so that metal does not smear.
        fill: Value outside of the source.
        beyond_mm: How far outside of the source its outermost values go on before there is ``fill``.

    Returns:
        float32 array of ``target.shape``.
    """
    if source.is_axis_aligned() and target.is_axis_aligned():
        view, source = _along_patient_axes(array, source)
        order, signs = _axis_order(target)
        result = _resample_aligned(view, source, _aligned_geometry(target), clip)
        _fill_outside(result, source, _aligned_geometry(target), fill, beyond_mm)
        return np.ascontiguousarray(_from_patient_axes(result, order, signs))
    return _resample_oblique(array, source, target, clip, fill, beyond_mm)


def axis_weights(n_in: int, spacing_in: float, n_out: int, spacing_out: float, offset: float) -> np.ndarray:
    """Weights of linear interpolation along one axis.

    Args:
        n_in: Number of source samples.
        spacing_in: Their distance in mm.
        n_out: Number of target samples.
        spacing_out: Their distance in mm.
        offset: Position of target sample 0 relative to source sample 0, in mm.

    Returns:
        float32 ``[n_out, n_in]``; each row sums to 1. The kernel is a triangle as wide as the larger of both spacings.
    """
    positions = np.clip((offset + np.arange(n_out) * spacing_out) / spacing_in, 0, n_in - 1)
    width = max(1.0, spacing_out / spacing_in)
    weights = np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(n_in)) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _axis_order(geometry: Geometry) -> tuple[list[int], list[int]]:
    """For patient axes x, y, z: which array axis (0=x, 1=y, 2=z of the grid) runs along it, and its sign."""
    matrix = geometry.direction_matrix
    order = [int(np.argmax(np.abs(matrix[axis]))) for axis in range(3)]
    return order, [1 if matrix[axis, order[axis]] > 0 else -1 for axis in range(3)]


def _aligned_geometry(geometry: Geometry) -> Geometry:
    """The same voxels, counted along +x, +y, +z of the patient."""
    order, signs = _axis_order(geometry)
    size = triple(geometry.size[a] for a in order)
    spacing = triple(geometry.spacing[a] for a in order)
    origin = triple(geometry.origin[i] - (0 if signs[i] > 0 else (size[i] - 1) * spacing[i]) for i in range(3))
    return Geometry(size, spacing, origin, IDENTITY)


def _along_patient_axes(array: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """A view of the array whose axes are the patient's z, y, x, and its geometry. Copies nothing."""
    order, signs = _axis_order(geometry)
    view = array.transpose([2 - order[2], 2 - order[1], 2 - order[0]])
    return view[tuple(slice(None, None, signs[i]) for i in (2, 1, 0))], _aligned_geometry(geometry)


def _from_patient_axes(array: np.ndarray, order: list[int], signs: list[int]) -> np.ndarray:
    """The inverse of :func:`_along_patient_axes` for a grid with that order and those signs."""
    flipped = array[tuple(slice(None, None, signs[i]) for i in (2, 1, 0))]
    return flipped.transpose(np.argsort([2 - order[2], 2 - order[1], 2 - order[0]]))


def _resample_aligned(
    view: np.ndarray, source: Geometry, target: Geometry, clip: tuple[float, float] | None
) -> np.ndarray:
    weights = []
    needed = []
    for axis in range(3):
        offset = target.origin[axis] - source.origin[axis]
        matrix = axis_weights(source.size[axis], source.spacing[axis], target.size[axis], target.spacing[axis], offset)
        used = np.flatnonzero(matrix.any(axis=0))
        needed.append(slice(int(used[0]), int(used[-1]) + 1))
        weights.append(matrix[:, needed[-1]])
    wx, wy, wz = weights
    view = view[needed[2], needed[1], needed[0]]
    reduced = np.empty((view.shape[0], wy.shape[0], wx.shape[0]), np.float32)
    step = max(1, _CHUNK_VOXELS // (view.shape[1] * view.shape[2]))

    def reduce(z: int) -> None:
        chunk = np.empty(view[z : z + step].shape, np.float32)
        low, high = (-np.inf, np.inf) if clip is None else clip
        np.clip(view[z : z + step], np.float32(low), np.float32(high), out=chunk)
        rows = weigh(wy, chunk.transpose(1, 0, 2))
        columns = weigh(wx, np.ascontiguousarray(rows.transpose(2, 1, 0)))
        reduced[z : z + step] = columns.transpose(1, 2, 0)

    in_threads(reduce, range(0, view.shape[0], step))
    return weigh(wz, reduced)


def weigh(weights: np.ndarray, array: np.ndarray) -> np.ndarray:
    """``weights @ array`` along the first axis, of a matrix whose rows are zero but for a few neighbours."""
    result = np.empty((len(weights), *array.shape[1:]), np.float32)
    for row, values in zip(weights, result, strict=True):
        used = np.flatnonzero(row)
        near = slice(used[0], used[-1] + 1)
        np.einsum("k,kij->ij", row[near], array[near], out=values)
    return result


def _fill_outside(result: np.ndarray, source: Geometry, target: Geometry, fill: float, beyond_mm: float) -> None:
    """Set target voxels whose centre lies more than half a voxel, and so many mm, outside of the source."""
    for axis in range(3):
        positions = target.origin[axis] + np.arange(target.size[axis]) * target.spacing[axis] - source.origin[axis]
        index, reach = positions / source.spacing[axis], 0.501 + beyond_mm / source.spacing[axis]
        outside = (index < -reach) | (index > source.size[axis] - 1 + reach)
        result[(slice(None),) * (2 - axis) + (outside,)] = fill


def _resample_oblique(
    array: np.ndarray,
    source: Geometry,
    target: Geometry,
    clip: tuple[float, float] | None,
    fill: float,
    beyond_mm: float,
) -> np.ndarray:
    array, source = _average_along_own_axes(array, source, target, clip)
    array, source = _continued(array, source, beyond_mm)
    return Volume(array, source).sampled(target, fill)


def _continued(array: np.ndarray, geometry: Geometry, mm: float) -> tuple[np.ndarray, Geometry]:
    """The outermost values repeated for so many mm on all sides."""
    more = [round(mm / spacing) for spacing in geometry.spacing]
    origin = geometry.index_to_physical @ [*(-n for n in more), 1]
    size = triple(n + 2 * m for n, m in zip(geometry.size, more, strict=True))
    array = np.pad(array, [(n, n) for n in reversed(more)], mode="edge")
    return array, Geometry(size, geometry.spacing, triple(float(v) for v in origin[:3]), geometry.direction)


def _average_along_own_axes(
    array: np.ndarray, source: Geometry, target: Geometry, clip: tuple[float, float] | None
) -> tuple[np.ndarray, Geometry]:
    """Make an oblique source about as coarse as the target first; linear interpolation alone would alias."""
    nearest = np.abs(target.direction_matrix.T @ source.direction_matrix).argmax(axis=0)
    spacing = [max(source.spacing[a], 0.75 * target.spacing[nearest[a]]) for a in range(3)]
    size = [max(1, round(source.size[a] * source.spacing[a] / spacing[a])) for a in range(3)]
    own = Geometry(source.size, source.spacing)
    origin = [((source.size[a] - 1) * source.spacing[a] - (size[a] - 1) * spacing[a]) / 2 for a in range(3)]
    coarse = _resample_aligned(array, own, Geometry(triple(size), triple(spacing), triple(origin)), clip)
    lps_origin = source.direction_matrix @ np.asarray(origin) + source.origin
    return coarse, Geometry(triple(size), triple(spacing), triple(float(v) for v in lps_origin), source.direction)
