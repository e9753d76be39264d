"""Volumes between processes: raw arrays in a private folder, memory-mapped, so that nothing is sent or copied.

Both sides use this file. A description is plain values for JSON: ``file`` (absolute path), ``dtype`` (numpy's name),
``shape`` [z, y, x], ``spacing`` and ``origin`` (x, y, z) in mm LPS, ``direction`` (9 numbers, row-major, LPS), ``name``
and, of a label map, ``labels`` and, where some of them overlap, ``overlaps`` (as :class:`Med3DCore.volume.LabelMap` has
them). The file holds the voxels and nothing else, in C order and little-endian.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.io.grid import require_extent, require_grid
from Med3DCore.io.write import written_beside
from Med3DCore.labels import Label
from Med3DCore.system.leftovers import own_name, remove_leftovers
from Med3DCore.volume import LabelMap, Volume

_PIECE_BYTES = 8_000_000
# The axes of a Slicer node that was moved by a transform are less exact than those of a file.
_SHEAR_TOLERANCE = 1e-2
_PREFIX = "med3d-exchange-"
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


def new_exchange_folder() -> tempfile.TemporaryDirectory:
    """A folder that only this user may read. Who makes it removes it, with ``cleanup()`` or as a context manager."""
    # Windows does not delete files that the other process still maps; remove_forgotten_folders() does, later.
    return tempfile.TemporaryDirectory(prefix=own_name(_PREFIX, "-"), ignore_cleanup_errors=True)


def remove_forgotten_folders() -> None:
    """Remove what programs that crashed left behind: whole scans, which nobody else should find."""
    remove_leftovers(Path(tempfile.gettempdir()), _PREFIX)


def write_volume_array(volume: Volume, folder: str | Path, stem: str = "volume") -> dict:
    """Write a volume for the other process, under a name that no other file has.

    Args:
        volume: A volume or label map; bool is written as uint8.
        folder: The exchange folder.
        stem: Beginning of the file's name.

    Returns:
        Its description.

    Raises:
        Med3DError: As :func:`write_volume_in_pieces`.
    """
    for description in write_volume_in_pieces(volume, folder, stem):  # noqa: B007 - the same each time
        pass
    return description


def write_volume_in_pieces(volume: Volume, folder: str | Path, stem: str = "volume") -> Iterator[dict]:
    """The same for who has other things to do meanwhile, such as a window.

    Args:
        volume: A volume or label map; bool is written as uint8.
        folder: The exchange folder.
        stem: Beginning of the file's name.

    Yields:
        Its description, after each piece; the file is there when nothing more comes.

    Raises:
        VolumeError: The array is empty or not of real numbers.
        OutputError: The folder is missing or read-only, or the disk is full. Nothing is left behind then.
    """
    array = volume.array.view(np.uint8) if volume.array.dtype == bool else volume.array
    dtype = array.dtype.newbyteorder("<")
    if dtype.name not in DTYPES or array.size == 0:
        raise VolumeError(f"{volume.name} cannot be exchanged: it holds {array.size} voxels of type {array.dtype}.")
    path = Path(folder).absolute() / f"{stem}-{uuid.uuid4().hex[:12]}.raw"
    geometry = volume.geometry
    description = {
        "file": str(path),
        "dtype": dtype.name,
        "shape": list(array.shape),
        "spacing": [float(v) for v in geometry.spacing],
        "origin": [float(v) for v in geometry.origin],
        "direction": [float(v) for v in geometry.direction],
        "name": volume.name,
    }
    if isinstance(volume, LabelMap):
        description["labels"] = [label.to_dict() for label in volume.labels]
        if volume.overlaps:
            description["overlaps"] = [list(members) for members in volume.overlaps]
    slices = max(1, _PIECE_BYTES * len(array) // array.nbytes)
    with written_beside(path) as temporary, temporary.open("wb") as file:
        for first in range(0, len(array), slices):
            for values in array[first : first + slices]:  # a flipped or permuted view needs no copy of the whole
                file.write(np.ascontiguousarray(values, dtype).data)
            yield description


def read_volume_array(description: dict) -> Volume:
    """Map a volume that the other process wrote.

    Args:
        description: What :func:`write_volume_array` returned.

    Returns:
        A LabelMap if it has labels, else a Volume. Its array is mapped copy-on-write: changing it never changes the
        file, and unchanged parts take no memory of their own.

    Raises:
        VolumeError: The description makes no sense, or the file is missing or has another size.
    """
    try:
        name = str(description.get("name", "volume"))
        path, dtype = Path(description["file"]), np.dtype(str(description["dtype"]))
        shape = [int(n) for n in description["shape"]]
        spacing, origin, direction = (
            [float(v) for v in description[key]] for key in ("spacing", "origin", "direction")
        )
        labels = tuple(Label.from_dict(label) for label in description.get("labels", ()))
        overlaps = tuple(tuple(int(v) for v in members) for members in description.get("overlaps", ()))
    except KeyError as error:
        raise VolumeError(f"The description of a volume lacks {error}.") from None
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise VolumeError(f"The description of a volume cannot be read: {error}.") from None
    if dtype.name not in DTYPES:
        raise VolumeError(f"{name} has voxels of type {dtype}; use one of {', '.join(DTYPES)}.")
    if len(shape) != 3 or min(shape) < 1:
        raise VolumeError(f"{name} has the shape {list(shape)}; Med3D needs a 3D volume [z, y, x].")
    array = _map(path, dtype.newbyteorder("<"), triple(shape), name)
    geometry = _geometry(triple(reversed(shape)), spacing, origin, direction, name)
    if "labels" not in description:
        return Volume(array, geometry, name)
    if dtype != np.uint8:
        raise VolumeError(f"{name} is a label map of type {dtype}; it must be uint8.")
    return LabelMap(array, geometry, name, labels, overlaps)


def read_label_array(description: dict) -> LabelMap:
    """The same of a label map.

    Raises:
        VolumeError: It has no labels, or as :func:`read_volume_array`.
    """
    volume = read_volume_array(description)
    if not isinstance(volume, LabelMap):
        raise VolumeError(f"{volume.name} is no label map: its description lacks 'labels'.")
    return volume


def _map(path: Path, dtype: np.dtype, shape: tuple[int, int, int], name: str) -> np.ndarray:
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    try:
        size = path.stat().st_size
        if size != wanted:
            raise VolumeError(f"{path} holds {size} bytes, but {name} needs {wanted}; write it again.")
        return np.memmap(path, dtype, "c", shape=shape)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VolumeError(f"The voxels of {name} cannot be read from {path}: {reason}.") from None


def _geometry(
    size: tuple[int, int, int], spacing: list[float], origin: list[float], direction: list[float], name: str
) -> Geometry:
    if [len(spacing), len(origin), len(direction)] != [3, 3, 9]:
        raise VolumeError(f"{name} has no usable geometry: spacing, origin and direction must be 3, 3 and 9 numbers.")
    geometry = Geometry(size, triple(spacing), triple(origin), tuple(direction))
    require_grid(name, geometry.spacing, geometry.origin, geometry.direction_matrix, _SHEAR_TOLERANCE)
    require_extent(name, geometry.size, geometry.spacing)
    return geometry
