"""From the ratings of several readers to benign or malignant: the two rules that LIDC-IDRI is used with.

LIDC's readers rate from 1 (highly unlikely to be malignant) to 5 (highly suspicious). Neither paper says how the up to
four ratings of a nodule become one. The list published with VDT (papers.md B3.1) has the most frequent one; of several
that are as frequent we take the lowest, as 2,608 of that list's 2,634 rated nodules do.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from Med3DCore.errors import DataError

LOWEST, HIGHEST = 1, 5


def malignancy(ratings: Sequence[int]) -> int:
    """The most frequent rating, the lowest of several.

    Raises:
        DataError: There is none, or one is not from 1 to 5.

    Examples:
        >>> malignancy([4, 4, 2, 3]), malignancy([5, 4])
        (4, 4)
    """
    if not ratings or not all(LOWEST <= rating <= HIGHEST for rating in ratings):
        raise DataError(f"The ratings {list(ratings)} are not one or more whole numbers from {LOWEST} to {HIGHEST}.")
    return min(statistics.multimode(ratings))


def med3d_rule(ratings: Sequence[int]) -> bool:
    """Whether a nodule is malignant as in Med3D: 1, 2 and 3 are benign, 4 and 5 malignant (papers.md A7)."""
    return malignancy(ratings) > 3


def acs_rule(ratings: Sequence[int]) -> bool | None:
    """Whether a nodule is malignant as in ACS and VDT, where 3 is neither and left out: None (papers.md B3.1)."""
    rating = malignancy(ratings)
    return None if rating == 3 else rating > 3


RULES: Mapping[str, Callable[[Sequence[int]], bool | None]] = {"med3d": med3d_rule, "acs": acs_rule}
"""Rules by the name that a user gives."""
