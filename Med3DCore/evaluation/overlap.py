"""How many voxels two masks share: Dice, Jaccard, VOE, RVD, precision and sensitivity."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from Med3DCore.errors import DataError


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of a prediction A and a reference B, and the measures that follow from them.

    Counts of several cases add up, so the global Dice of section C of papers.md (one Dice from the summed counts, as
    CSPR reports it) is ``sum(overlaps, Overlap()).dice``; the mean of the cases' Dice is another number.

    An empty mask makes no measure fail. Both empty: Dice and Jaccard are 1, VOE and RVD 0, precision and sensitivity
    nan. Only the prediction empty: Dice, Jaccard and sensitivity are 0, VOE 1, RVD -1, precision nan. Only the
    reference empty: Dice, Jaccard and precision are 0, VOE 1, RVD inf, sensitivity nan.

    Args:
        intersection: Voxels in A and B.
        prediction: Voxels in A.
        reference: Voxels in B.

    Examples:
        >>> Overlap(intersection=1, prediction=2, reference=2).dice
        0.5
    """

    intersection: int = 0
    prediction: int = 0
    reference: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        """The counts of both together."""
        return Overlap(
            self.intersection + other.intersection,
            self.prediction + other.prediction,
            self.reference + other.reference,
        )

    @property
    def dice(self) -> float:
        """``2 |A and B| / (|A| + |B|)``, 0 to 1."""
        return _ratio(2 * self.intersection, self.prediction + self.reference, empty=1.0)

    @property
    def jaccard(self) -> float:
        """``|A and B| / |A or B|``, 0 to 1."""
        return _ratio(self.intersection, self.prediction + self.reference - self.intersection, empty=1.0)

    @property
    def voe(self) -> float:
        """Volumetric overlap error, 1 - Jaccard, 0 to 1."""
        return 1.0 - self.jaccard

    @property
    def rvd(self) -> float:
        """Relative volume difference ``(|A| - |B|) / |B|``: above 0 when too much was segmented.

        The public LiTS notebook hands its function the masks in the other order and so divides by ``|A|``.
        """
        empty = 0.0 if self.prediction == 0 else inf
        return _ratio(self.prediction - self.reference, self.reference, empty)

    @property
    def precision(self) -> float:
        """``|A and B| / |A|``: the part of the prediction that is right."""
        return _ratio(self.intersection, self.prediction, empty=nan)

    @property
    def sensitivity(self) -> float:
        """``|A and B| / |B|``: the part of the reference that was found."""
        return _ratio(self.intersection, self.reference, empty=nan)


def measure_overlap(prediction: np.ndarray, reference: np.ndarray, known: np.ndarray | None = None) -> Overlap:
    """Count the voxels of two masks.

    Args:
        prediction: Mask ``[z, y, x]``, bool or numbers of which any but 0 is inside.
        reference: Mask on the same grid.
        known: Where the reference can be trusted, bool; other voxels count for nobody. None: everywhere.

    Raises:
        DataError: The masks differ in shape.
    """
    prediction, reference = as_masks(prediction, reference, known)
    return Overlap(
        int(np.count_nonzero(prediction & reference)),
        int(np.count_nonzero(prediction)),
        int(np.count_nonzero(reference)),
    )


def as_masks(
    prediction: np.ndarray, reference: np.ndarray, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks as bool ``[z, y, x]``, empty where not ``known``.

    Raises:
        DataError: The shapes differ; numpy would stretch the smaller one without a word.
    """
    for other in (reference, known):
        if other is not None and other.shape != prediction.shape:
            raise DataError(
                f"The prediction has the shape {prediction.shape} but what it is compared with has {other.shape} "
                "(z, y, x); bring both to one grid first."
            )
    prediction, reference = prediction.astype(bool, copy=False), reference.astype(bool, copy=False)
    return (prediction, reference) if known is None else (prediction & known, reference & known)


def _ratio(above: int, below: int, empty: float) -> float:
    return above / below if below else empty
