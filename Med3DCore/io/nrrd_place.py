"""Where the voxels of a NRRD file lie: its axes in the patient, in mm and LPS."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.io.orientation import not_given
from Med3DCore.io.text_header import TextHeader
from Med3DCore.io.units import in_mm

# What turns a space's axes to LPS; None where the space is not the patient's.
_TO_LPS = {
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "scanner-xyz": None,
    "3d-right-handed": None,
    "3d-left-handed": None,
}
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}
# Kinds of axes that can lie in space; an axis of a list, of time or of a vector's components does not.
_SPATIAL = ("", "domain", "space", "none", "???")


@dataclass(frozen=True, eq=False)
class Place:
    """Where the voxels lie.

    Args:
        axes: Which of the file's axes lie in space, three in the order of the file.
        spacing: Of these, in mm.
        origin: LPS mm of the first voxel's centre.
        direction: 3x3, its columns are the axes.
        orientation_note: Why it is not known how the patient lies, a sentence, or None.
        notes: What else to warn of, sentences.
    """

    axes: tuple[int, ...]
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray
    orientation_note: str | None
    notes: tuple[str, ...]


def nrrd_place(head: TextHeader, kinds: Sequence[str]) -> Place:
    """Work out from a header where its voxels lie.

    Args:
        head: The header.
        kinds: Of each of its axes, in lower case; empty where it says none.

    Raises:
        VolumeError: It does not say it, or says nonsense.
    """
    return _by_directions(head, kinds) if "space directions" in head.fields else _by_spacings(head, kinds)


def _by_directions(head: TextHeader, kinds: Sequence[str]) -> Place:
    name = " ".join(head.fields.get("space", "").lower().split())
    timed = name.endswith("-time") or name in ("rast", "last", "lpst")
    name = name.removesuffix("-time") if name.endswith("-time") else name[:3] if timed else name
    name = _SHORT.get(name, name)
    if name and name not in _TO_LPS:
        raise head.damaged(f"its space is {head.shown('space')}")
    length = (4 if timed else 3) if name else head.whole("space dimension", 1)[0]
    if length not in (3, 4):
        raise head.damaged(f"its space has {length} dimensions")
    vectors = _vectors(head, "space directions", len(kinds), length)
    origin = _vectors(head, "space origin", 1, length)[0] if "space origin" in head.fields else np.zeros(length)
    if origin is None:
        raise head.damaged(f"its space origin is {head.shown('space origin')}")
    # An axis that runs in time alone is none of space; one of length zero is one with an impossible spacing.
    in_space = {i: v[:3] for i, v in enumerate(vectors) if v is not None and (v[:3].any() or not v[3:].any())}
    axes = tuple(in_space)
    if len(axes) < 3:
        raise head.no_spacing()
    if len(axes) > 3:
        raise head.damaged(f"it has {len(axes)} axes in space")
    to_mm, notes = _millimetres(head, "space units", length, (0, 1, 2))
    turn = _TO_LPS.get(name)
    to_lps = to_mm * (turn or 1.0)
    matrix = np.array(list(in_space.values())).T * to_lps[:, None]
    spacing = np.linalg.norm(matrix, axis=0)
    lacking = f"its space is {name}" if name else "its header names no space of the patient"
    note = None if turn else not_given(head.path, lacking)
    direction = matrix / np.where(spacing > 0, spacing, 1.0)
    return Place(axes, spacing, origin[:3] * to_lps, direction, note, notes)


def _by_spacings(head: TextHeader, kinds: Sequence[str]) -> Place:
    if not head.fields.get("spacings"):
        raise head.no_spacing()
    spacings = head.numbers("spacings", len(kinds))
    axes = [i for i, kind in enumerate(kinds) if kind in _SPATIAL and math.isfinite(spacings[i])][:3]
    if len(axes) < 3:
        raise head.no_spacing()
    to_mm, notes = _millimetres(head, "units", len(kinds), axes)
    spacing = np.array([spacings[axis] for axis in axes]) * to_mm
    origin = np.zeros(3)
    if "axis mins" in head.fields:
        lowest = np.array(head.numbers("axis mins", len(kinds)))[axes] * to_mm
        centres = head.fields.get("centers", "").lower().split() or ["cell"] * len(kinds)
        half = [0.0 if axis < len(centres) and centres[axis] == "node" else 0.5 for axis in axes]
        origin = np.where(np.isfinite(lowest), lowest + half * spacing, 0.0)
    note = not_given(head.path, "its header has spacings but no space directions")
    return Place(tuple(axes), spacing, origin, np.eye(3), note, notes)


def _vectors(head: TextHeader, name: str, count: int, length: int) -> list[np.ndarray | None]:
    """The vectors of a field, None for "none"."""
    text = head.fields[name]
    found = re.findall(r"\(([^()]*)\)|none", text, re.IGNORECASE)
    left = re.sub(r"\([^()]*\)|none", "", text, flags=re.IGNORECASE).strip()
    try:
        vectors = [np.array([float(word) for word in one.split(",")]) if one else None for one in found]
    except ValueError:
        vectors = []
    if left or len(vectors) != count or any(v is not None and len(v) != length for v in vectors):
        raise head.damaged(f"its {name} are {head.shown(name)}")
    return [None if vector is None or np.isnan(vector).all() else vector for vector in vectors]


def _millimetres(head: TextHeader, name: str, count: int, wanted: Sequence[int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """How many mm the units of some axes are, and what to say if they are no mm."""
    if name not in head.fields:
        return np.ones(3), ()
    units = re.findall(r'"([^"]*)"', head.fields[name])
    if len(units) != count:
        raise head.damaged(f"its {name} are {head.shown(name)}")
    return in_mm(head.path, [units[axis] for axis in wanted])
