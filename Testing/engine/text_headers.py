"""NRRD and MetaImage files for tests, written field by field, so that a test can say what is wrong with them."""

from __future__ import annotations

import numpy as np

from Med3DCore.io import read_volume
from Med3DCore.progress import Progress

VALUES = np.random.default_rng(3).integers(-1000, 1000, (4, 5, 6)).astype("<i2")
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "6 5 4",
    "space directions": "(0.8,0,0) (0,0.9,0) (0,0,5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-10,20,30)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-10 20 30",
    "ElementSpacing": "0.8 0.9 5",
    "DimSize": "6 5 4",
    "ElementType": "MET_SHORT",
}


def a_nrrd(path, stored: bytes | None = None, **changes: str | None):
    """A NRRD file with some fields changed, or left out if None; ``_`` stands for a space."""
    fields = {**NRRD, **{name.replace("_", " "): value for name, value in changes.items()}}
    text = "NRRD0004\n" + "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(text.encode() + b"\n" + (VALUES.tobytes() if stored is None else stored))
    return path


def a_meta(path, stored: bytes | None = None, file: str = "LOCAL", **changes: str | None):
    """A MetaImage file with some fields changed, or left out if None."""
    fields = {**META, **changes, "ElementDataFile": file}
    text = "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(text.encode() + (VALUES.tobytes() if stored is None else stored))
    return path


def read(path):
    """The volume and the warnings."""
    progress = Progress()
    return read_volume(path, progress=progress), progress.warnings
