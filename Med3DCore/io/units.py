"""Units of length in the headers of NRRD and MetaImage, which ITK and 3D Slicer take for mm whatever they are."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from Med3DCore.errors import VolumeError

_NAMES = {
    1.0: "mm|millimeter|millimeters|millimetre|millimetres||?|???",
    10.0: "cm|centimeter|centimeters|centimetre|centimetres",
    1e3: "m|meter|meters|metre|metres",
    1e-3: "um|\u00b5m|\u03bcm|micron|microns|micrometer|micrometers|micrometre|micrometres",
}
_MM = {name: factor for factor, names in _NAMES.items() for name in names.split("|")}


def in_mm(path: Path, units: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """How many mm some units are, and what to say if one is not mm.

    Args:
        path: The file, for the message.
        units: Their names; empty or question marks where they are not known.

    Raises:
        VolumeError: One is no unit of length.
    """
    names = [unit.strip() for unit in units]
    if unknown := next((name for name in names if name.lower() not in _MM), None):
        raise VolumeError(
            f"{path} gives lengths in {reprlib.repr(unknown)}, a unit that Med3D does not know; give them in mm."
        )
    factors = np.array([_MM[name.lower()] for name in names])
    if np.all(factors == 1):
        return factors, ()
    unit = names[int(np.argmax(factors != 1))]
    return factors, (
        f"{path} gives lengths in {unit}, and so they were taken; 3D Slicer takes them for mm and shows another size, "
        "so save it anew in mm.",
    )
