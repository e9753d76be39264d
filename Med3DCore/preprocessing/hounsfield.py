"""Is this a CT in Hounsfield units? Asked of the modality, where it is known, and of the values."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

NOT_CT = "not-ct"
"""Code of the error for a scan of another kind than its model was made for; its facts have ``offset``, or None."""

# DICOM modalities of images that are certainly none of each other's kind; any other word says nothing.
_KINDS = {"CT", "MR", "PT", "NM", "US", "XA", "MG", "CR", "DX", "RF"}
_SAMPLES = 2_000_000
_OFFSET = -1024


def require_modality(volume: Volume, modality: str, model: str, progress: Progress, not_ct: bool = False) -> None:
    """Refuse, within moments, a scan of another kind than a model was made for, before anything is computed.

    Values of an MR may pass for Hounsfield units, so what the scan is said to be counts first.

    Args:
        volume: The scan.
        modality: That of the model, such as ``"CT"``; several joined by a slash.
        model: Name of the model, for the sentence.
        progress: Gets a warning instead of the refusal if the user wants it.
        not_ct: Whether the user wants it all the same.

    Raises:
        VolumeError: It is, with the code ``"not-ct"``; ``facts`` hold the ``offset`` that would make it a CT, or None.
    """
    offset = None
    if volume.modality in _KINDS and volume.modality not in modality.split("/"):
        problem = f"{volume.name} is {volume.modality}, and {model} was made for {modality}"
    elif modality == "CT" and not looks_like_ct(volume.array):
        offset = missing_offset(volume.array)
        stored = f"; they are like those of a CT stored without its offset of {offset}" if offset else ""
        problem = (
            f"The values of {volume.name} do not look like a CT in Hounsfield units (air -1000, water 0), which is "
            f"what {model} was made for{stored}"
        )
    else:
        return
    if not not_ct:
        raise VolumeError(f"{problem}; nothing was computed.", NOT_CT, {"offset": offset})
    progress.warn(f"{problem}; do not trust the result.")


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether the values are like those of a CT of a body or a part of it.

    In Hounsfield units fat and air lie below -30, a good part lies between -200 and 300, and little lies where soft
    tissue would be if the values were stored without their offset of 1024. Pictures of 0..255, MR, and
    label maps have nothing below -30; a CT of 0..4095 has its tissue around 1050.

    Args:
        array: ``[z, y, x]`` of any real type; about two million voxels spread evenly are looked at.
    """
    return _is_ct(_sample(array))


def missing_offset(array: np.ndarray) -> int | None:
    """What to add to values that are those of a CT stored as 0..4095, without its offset: -1024; else None.

    Only to be offered: an MR may look alike.

    Args:
        array: As for :func:`looks_like_ct`.
    """
    sample = _sample(array)
    if _is_ct(sample):
        return None
    if sample.min() < 0:
        sample = sample[sample > sample.min()]  # padding, perhaps
    if sample.size == 0 or sample.min() < 0 or sample.max() < -_OFFSET:
        return None
    sample = sample.astype(np.float32) + _OFFSET
    body = np.count_nonzero(sample > -300)
    tissue = np.count_nonzero((sample > -150) & (sample < 200))
    return _OFFSET if _is_ct(sample) and tissue > body / 2 else None


def offset_hint(array: np.ndarray) -> str:
    """The end of a sentence that offers the offset that is missing, or nothing."""
    offset = missing_offset(array)
    if offset is None:
        return ""
    return f"; they are like those of a CT stored without its offset: add it with --offset {offset} if it is one"


def _sample(array: np.ndarray) -> np.ndarray:
    return array.ravel()[:: max(1, array.size // _SAMPLES)]


def _is_ct(sample: np.ndarray) -> bool:
    def share(low: float, high: float) -> float:
        return np.count_nonzero((sample > low) & (sample < high)) / sample.size

    soft = share(-200, 300)
    return bool(sample.min() < -30 and soft > 0.02 and share(700, 1300) < soft / 3)
