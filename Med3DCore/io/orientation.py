"""How the axes of an array run in the patient: in letters, where a file does not say it, where it says two things."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry

# Two placements closer than this, anywhere in the scan, are one.
_SAME_MM = 1.0
_LETTERS = ("LR", "PA", "SI")
HINT = "if that is wrong, correct its header, or tell segment and info with --orientation, such as --orientation RAS"


def orientation_letters(geometry: Geometry) -> str:
    """The patient direction that each array axis x, y, z runs towards, such as ``"LPS"`` for a plain CT.

    ITK-SNAP names the same volume by where the axes come from, ``"RAI"``. Oblique axes get the nearest letter.
    """
    letters = ""
    for axis in geometry.direction_matrix.T:
        nearest = int(np.argmax(np.abs(axis)))
        letters += _LETTERS[nearest][0 if axis[nearest] > 0 else 1]
    return letters


def checked_letters(letters: str) -> str:
    """Letters as :func:`orientation_letters` gives them, in capitals.

    Raises:
        SettingError: They are not one each of L or R, P or A, S or I.
    """
    pairs = sorted("".join(pair) for pair in _LETTERS for letter in letters.upper() if letter in pair)
    if len(letters) != 3 or pairs != sorted(_LETTERS):
        raise SettingError(
            "An orientation is three letters, one each of L or R, P or A, S or I, such as LPS or RAS, not "
            f"{reprlib.repr(letters)}."
        )
    return letters.upper()


def turned(geometry: Geometry, letters: str) -> Geometry:
    """The grid of the same array if its axes run towards ``letters``; its centre stays in place.

    Args:
        geometry: What the file says.
        letters: As of :func:`checked_letters`.
    """
    direction = np.zeros((3, 3))
    for column, letter in enumerate(checked_letters(letters)):
        axis = next(axis for axis, pair in enumerate(_LETTERS) if letter in pair)
        direction[axis, column] = 1.0 if letter == _LETTERS[axis][0] else -1.0
    half = (np.asarray(geometry.size) - 1) / 2 * np.asarray(geometry.spacing)
    origin = geometry.direction_matrix @ half + geometry.origin - direction @ half
    return Geometry(geometry.size, geometry.spacing, tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def not_given(path: Path | str, lacking: str, others: str = "") -> str:
    """The warning about a file that does not say how the patient lies.

    Args:
        path: The file, or what to call the scan.
        lacking: What its header lacks, as the end of a sentence.
        others: How other programs than 3D Slicer take it, or nothing.
    """
    return (
        f"{path} does not say how the patient lies: {lacking}. LPS was assumed (x runs to the left, y to the back, z "
        f"to the head), as 3D Slicer does{others}; {HINT}."
    )


def difference(first: Geometry, second: Geometry) -> str | None:
    """How two placements of one array differ, as the middle of a sentence, or None if they agree within 1 mm."""
    corners = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners[:, :3] *= np.asarray(first.size) - 1
    apart = np.linalg.norm((corners @ (first.index_to_physical - second.index_to_physical).T)[:, :3], axis=1)
    if apart.max() <= _SAME_MM:
        return None
    rotation = first.direction_matrix.T @ second.direction_matrix
    said = []
    if np.linalg.det(rotation) < 0:
        said.append("mirrored")
    elif (angle := np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))) >= 0.05:
        said.append(f"turned by {angle:.1f} degrees")
    centre = corners.mean(axis=0)
    shift = np.linalg.norm((first.index_to_physical - second.index_to_physical) @ centre)
    if shift > _SAME_MM or not said:
        said.append(f"shifted by {max(shift, apart.max() if not said else 0):.0f} mm")
    return " and ".join(said)


def anatomical_letters(text: str) -> set[str]:
    """Both readings of three orientation letters (where axes run to, or come from); empty if they are none."""
    text = text.strip().upper()
    if not re.fullmatch("[LRPASI]{3}", text):
        return set()
    return {text, text.translate(str.maketrans("LRPASI", "RLAPIS"))}
