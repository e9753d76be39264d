"""FROC: how many lesions are found at how many false alarms a picture, as measured on DeepLesion (papers.md C).

A found box that overlaps no true one enough is a false alarm; all boxes of a picture without lesions are. A true box is
found by the best of those that overlap it enough; the others are neither right nor wrong, and one box may find two
lesions. Going down the scores, sensitivity (found by all true boxes) is drawn over false alarms by pictures, and read
off between two points along a line. Past the end of the curve its last sensitivity holds, as in MULAN's code; MP3D's
goes on beyond what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.boxes import overlaps
from Med3DCore.errors import DataError

RATES = (0.5, 1.0, 2.0, 4.0)
"""False alarms a picture at which the sensitivity is reported."""

ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in a picture, and what there is.

    Args:
        boxes: Found boxes ``[n, 4]``, see :mod:`Med3DCore.boxes`.
        scores: Of each, ``[n]``; higher is surer.
        truths: True boxes ``[m, 4]``; none for a picture without lesions.
    """

    boxes: np.ndarray
    scores: np.ndarray
    truths: np.ndarray


@dataclass(frozen=True, eq=False)
class Froc:
    """The curve, as the scores that it follows from.

    Args:
        hits: Score at which each lesion is found, in the order of the pictures; -inf for one that never is.
        alarms: Scores of the false alarms.
        pictures: How many there are.
    """

    hits: np.ndarray
    alarms: np.ndarray
    pictures: int

    def points(self, of: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """False alarms a picture and sensitivity at each score from the highest down, beginning at 0, 0.

        Equal scores are one point, so that their order does not matter.

        Args:
            of: Bool for each lesion: only these count as lesions, such as the small ones; the alarms stay.
        """
        hits = self.hits if of is None else self.hits[of]
        levels = np.unique(np.concatenate([self.hits[np.isfinite(self.hits)], self.alarms]))[::-1]
        alarms = len(self.alarms) - np.searchsorted(np.sort(self.alarms), levels, side="left")
        found = len(hits) - np.searchsorted(np.sort(hits), levels, side="left")
        sensitivity = found / len(hits) if len(hits) else np.full(len(levels), np.nan)
        return np.r_[0.0, alarms / self.pictures], np.r_[0.0 if len(hits) else np.nan, sensitivity]

    def sensitivity(self, rates: Sequence[float] = RATES, of: np.ndarray | None = None) -> list[float]:
        """Sensitivity at so many false alarms a picture; nan without lesions.

        Args:
            rates: False alarms a picture.
            of: As for :meth:`points`.
        """
        alarms, sensitivity = self.points(of)
        # Of several points at the same x numpy takes the last one, where all hits before the next alarm are in.
        return [float(value) for value in np.interp(rates, alarms, sensitivity)]


def froc(pictures: Sequence[Detections], measure: str = "iou", pixel: float = 0.0, enough: float = ENOUGH) -> Froc:
    """Compare what was found in pictures with what there is.

    Args:
        pictures: All of them, also those in which nothing was found or nothing is.
        measure: Of overlap, see :func:`Med3DCore.boxes.overlaps`.
        pixel: As for :func:`Med3DCore.boxes.areas`: 0 as in MP3D's code, 1 as in MULAN's.
        enough: Overlap from which a lesion counts as found.

    Raises:
        DataError: There are no pictures, or a score or box is no number.

    Examples:
        >>> box = np.array([[0.0, 0, 9, 9]])
        >>> froc([Detections(box, np.array([0.8]), box)]).sensitivity([0.5])
        [1.0]
    """
    if not pictures:
        raise DataError("There is no picture to measure the detection on.")
    hits, alarms = [], []
    for picture in pictures:
        if not all(np.isfinite(part).all() for part in (picture.boxes, picture.scores, picture.truths)):
            raise DataError("A box or score is no number, so the detection cannot be measured.")
        enough_of = overlaps(picture.boxes, picture.truths, measure, pixel) >= enough
        alarms.append(picture.scores[~enough_of.any(axis=1)])
        hits.append(np.where(enough_of, picture.scores[:, None], -np.inf).max(axis=0, initial=-np.inf))
    return Froc(np.concatenate(hits), np.concatenate(alarms), len(pictures))


def pooled(parts: Sequence[Froc]) -> Froc:
    """The curve of all pictures together, from those of parts of them; one that is given twice counts twice."""
    hits, alarms = [part.hits for part in parts], [part.alarms for part in parts]
    return Froc(np.concatenate(hits), np.concatenate(alarms), sum(part.pictures for part in parts))
