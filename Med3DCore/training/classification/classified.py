"""Cases that are classified: a place in a scan, or the whole scan, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Triple
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.prepared import Prepared


class ClassifiedCase(Case):
    """A case with an answer, and the place that is looked at."""

    @property
    def answer(self) -> tuple[int, ...]:
        """What the network should say: 1 there, 0 not there, 255 unknown, in the order of its classes."""
        raise NotImplementedError

    @property
    def place(self) -> Triple | None:
        """Where to look, LPS mm; None for the middle of the scan."""
        return None


@dataclass(frozen=True, kw_only=True)
class Scan(ClassifiedCase):
    """A whole scan, and what it shows.

    Args:
        classes: Names of the classes, or of the labels if several can be true of a scan.
        shown: Of each of them 1, 0, or 255 if nobody said.
    """

    classes: tuple[str, ...]
    shown: tuple[int, ...]

    @property
    def answer(self) -> tuple[int, ...]:
        """What it shows."""
        return self.shown

    @property
    def kind(self) -> str:
        """All that it shows, such as ``"normal"``; empty for nothing."""
        return ", ".join(name for name, value in zip(self.classes, self.shown, strict=True) if value == 1)


def answers_of(cases: Sequence[Prepared[ClassifiedCase]]) -> np.ndarray:
    """The answers of prepared cases, uint8 ``[n, classes]``."""
    return np.array([each.target[:, 0, 0, 0] for each in cases], np.uint8)


def require_shown(scans: Sequence[Scan], exclusive: bool) -> list[str]:
    """Refuse scans from which nothing can be learned.

    Args:
        scans: All scans.
        exclusive: Whether each scan is of one class.

    Returns:
        Labels that no training scan shows, of which the network can only learn that they are never there.

    Raises:
        DataError: There is no training scan; a class of exclusive ones, or every label, is missing or always there.
    """
    taught = np.array([scan.shown for scan in scans if scan.split == "training"])
    if not len(taught):
        raise DataError("No scan is for training; hold out fewer.")
    shown, other = (taught == 1).any(axis=0), (taught == 0).any(axis=0)
    classes = scans[0].classes
    missing = [name for name, there in zip(classes, shown, strict=True) if not there]
    if exclusive and missing:
        raise DataError(f"No training scan is '{missing[0]}'; a classifier needs scans of each class.")
    if not (shown & other).any():
        raise DataError(f"Of {', '.join(classes)} none is in some training scans and not in others.")
    return missing
