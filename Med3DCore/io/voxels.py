"""From slices as they come off the disk to one array in the smallest type that loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from Med3DCore.errors import SettingError, VolumeError

_WIDER: dict[np.dtype, np.dtype] = {np.dtype(np.uint8): np.dtype(np.int16), np.dtype(np.int16): np.dtype(np.float32)}


def stack_slices(slices: Iterable[np.ndarray], shape: tuple[int, int, int]) -> np.ndarray:
    """Put slices together: uint8 if they are stored so, int16 if every value is a whole number that fits, else float32.

    A CT of 512x512x400 so takes 210 MB, however it was stored, and no more than one slice on top while it is read.

    Args:
        slices: ``shape[0]`` arrays ``[y, x]`` of any real type.
        shape: (z, y, x) of the volume.

    Returns:
        ``[z, y, x]`` uint8, int16 or float32.
    """
    volume = np.empty(shape, np.int16)
    with np.errstate(over="ignore"):
        for z, values in enumerate(slices):
            if z == 0 and values.dtype in (np.uint8, np.bool_):
                volume = np.empty(shape, np.uint8)
            while not _fits(values, volume.dtype):
                volume = volume.astype(_WIDER[volume.dtype])
            volume[z] = values
    return volume


def smallest_type(array: np.ndarray) -> np.ndarray:
    """An array ``[z, y, x]`` of any real type as uint8, int16 or float32, by the rule of :func:`.stack_slices`."""
    return array if array.dtype in (np.uint8, np.int16, np.float32) else stack_slices(array, array.shape)


def shifted(array: np.ndarray, offset: float) -> np.ndarray:
    """An array ``[z, y, x]`` with a number added to all values, by the rule of :func:`.stack_slices`.

    Raises:
        SettingError: The offset is no finite number.
    """
    if offset == 0:
        return array
    if not np.isfinite(offset):
        raise SettingError(f"An offset is a number of Hounsfield units, such as -1024, not {offset:g}.")
    whole = array.dtype.kind in "iu" and float(offset).is_integer() and abs(offset) < 1 << 30
    return stack_slices(
        (values.astype(np.int64) + int(offset) if whole else values + offset for values in array), array.shape
    )


def _fits(values: np.ndarray, dtype: np.dtype) -> bool:
    if dtype == np.float32 or np.can_cast(values.dtype, dtype):
        return True
    limits = np.iinfo(dtype)
    if not (values.min() >= limits.min and values.max() <= limits.max):  # False for NaN too
        return False
    return values.dtype.kind in "iu" or bool(np.all(values == np.rint(values)))


def fill_non_finite(array: np.ndarray, name: str, warn: Callable[[str], None]) -> None:
    """Give NaN and infinite voxels the lowest value of the volume, in place.

    Tools that rotate or resample pad with NaN outside the scan; there the lowest value, air, is right. More than half
    of a volume is not padding any more.

    Args:
        array: ``[z, y, x]`` of any real type.
        name: What to call the volume.
        warn: Told how many voxels were filled.

    Raises:
        VolumeError: More than half of the voxels are not finite.
    """
    if array.dtype.kind != "f":
        return
    bad, lowest = 0, np.inf
    for values in array:
        finite = np.isfinite(values)
        bad += values.size - np.count_nonzero(finite)
        lowest = min(lowest, values.min(initial=np.inf, where=finite))
    if bad == 0:
        return
    share = f"{bad} of its {array.size} voxels ({100 * bad / array.size:.1f} %) are NaN or infinite"
    if bad > array.size / 2:
        raise VolumeError(f"{name} holds too little image: {share}; export it again.")
    for values in array:
        values[~np.isfinite(values)] = lowest
    warn(f"{name}: {share}; they were taken as the lowest value, {lowest:g}.")


def require_contrast(array: np.ndarray, name: str) -> None:
    """Refuse an image in which nothing can be seen.

    Raises:
        VolumeError: All voxels of ``array`` have the same value.
    """
    first = array.flat[0]
    if all(np.all(values == first) for values in array):  # most often the first slice tells
        raise VolumeError(f"Every voxel of {name} has the value {first:g}; there is nothing to see, export it again.")
