"""Does a result look wrong? Asked of the result alone, since nobody knows the truth: sentences for people, flags for
programs.

The limits were measured with the shipped model on scans that it never saw, as they are and spoilt on purpose; the table
is in docs/models/liver-lungs-0.4.0.md. Sizes and brightness of spleen and kidneys are wider than those of the 29 people
who were drawn or drafted for them: small ones in old age, large ones in diseases of liver, blood and the urinary tract.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.inference.border import MOST_ALIKE, alike_beside_label
from Med3DCore.inference.postprocessing import numbered_pieces
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.labels import Label
from Med3DCore.preprocessing import resample
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

Range = tuple[float, float]

_LEAST_EXPECTED_DICE = 0.90
# An outside review found five of nine bad livers with this limit, three with 0.87; of painted ones it finds eight of
# nine instead of six, and doubts one of 19 good ones (docs/experiments.md).
_LEAST_AGREEMENT = 0.90
# Below this, a find that is smaller than the organ is taken for something else: between false livers in pelves of
# phantoms (10 of 12, 0.73 at most) and real slivers of 40 mL and more at the end of a scan (0.78 at least).
_DISPUTED_AGREEMENT = 0.75
_MOST_SCATTERED = 0.15
# Voxels of the scan that the median intensity is taken from.
_SAMPLES = 1_000_000


@dataclass(frozen=True)
class Typical:
    """What an organ is like in a CT of an adult.

    Args:
        ml: Least and most volume of a whole one, in mL.
        hu: Lowest and highest median, in any phase.
        pieces: Number of pieces.
    """

    ml: Range
    hu: Range
    pieces: int


TYPICAL = {
    "liver": Typical(ml=(300.0, 4000.0), hu=(-20.0, 220.0), pieces=1),
    "lungs": Typical(ml=(800.0, 10000.0), hu=(-960.0, -550.0), pieces=2),
    "spleen": Typical(ml=(40.0, 2500.0), hu=(15.0, 250.0), pieces=1),
    "left_kidney": Typical(ml=(40.0, 450.0), hu=(10.0, 350.0), pieces=1),
    "right_kidney": Typical(ml=(40.0, 450.0), hu=(10.0, 350.0), pieces=1),
}


@dataclass(frozen=True)
class Evidence:
    """What can be measured of a label's result.

    Args:
        ml: Its volume.
        is_cut: Whether it touches the edge of the scan.
        expected_dice: Dice that the model's own probabilities predict: ``2 sum(p in mask) / (sum(p) + mask)``.
        agreement: Dice with what the stage before had found; None without one.
        scattered: Share of what the network found that is not in the largest pieces that an organ has; of one that is
            cut, which may fall into more, that was left out.
        median: Of the scan's values in it.
        beside: What lies beside it and is as bright, as a part of its volume; None where that tells nothing.
    """

    ml: float
    is_cut: bool
    expected_dice: float
    agreement: float | None
    scattered: float
    median: float
    beside: float | None = None


def check(
    name: str,
    labels: LabelMap,
    volume: Volume,
    is_ct: bool,
    is_cut: bool,
    last: StageResult | None,
    before: StageResult | None,
    left_out_ml: float,
    progress: Progress,
) -> None:
    """Warn if there is nothing of a label, or if what was found looks wrong.

    Args:
        name: Of the label.
        labels: The result, on the scan's grid.
        volume: The scan.
        is_ct: Whether its values are HU, if it is what the model was made for.
        is_cut: Whether the label goes on where the scan ends.
        last: Of the stage that the result is from; None if it had nowhere to look.
        before: Of the stage that told it where; None if there is none.
        left_out_ml: What :func:`leave_out_disputed` left out.
        progress: Gets the warnings.
    """
    label = labels.labels[labels.value(name) - 1]
    ml = labels.volume_ml(name)
    if ml == 0 or last is None:
        sentence = f"No {label.title.lower()} found in {volume.name}"
        if left_out_ml:
            sentence += f"; {left_out_ml:.0f} mL looked like it, but a coarse and a close look at them do not agree"
        progress.warn(f"{sentence}.", name, "missing")
        return
    for flag, sentence in doubts(label, _gather(name, labels, ml, is_cut, volume, is_ct, last, before), is_ct):
        progress.warn(sentence, name, flag)


def leave_out_disputed(name: str, last: StageResult | None, before: StageResult | None, scan: Geometry) -> float:
    """Leave out, in place, something smaller than the organ about which two stages disagree: most likely another one.

    Args:
        name: Of the label; of those whose size nobody knows nothing is left out.
        last: Of the stage that the result is from.
        before: Of the stage that told it where.
        scan: The scan's own grid; what a network sees beyond it is not counted.

    Returns:
        How much was left out, in mL.
    """
    if last is None or before is None or name not in TYPICAL:
        return 0.0
    ml = ml_in_scan(name, last, scan)
    if not 0 < ml < TYPICAL[name].ml[0] or agreement(name, last, before) >= _DISPUTED_AGREEMENT:
        return 0.0
    last.scores[name][:] = 0.0
    return ml


def ml_in_scan(name: str, last: StageResult, scan: Geometry) -> float:
    """How much of a label a stage found inside the scan, in mL; networks see a little beyond it."""
    inside = last.scores[name][last.inside(scan)] > 0.5
    return float(np.count_nonzero(inside) * last.grid.voxel_volume_ml)


def _gather(
    name: str,
    labels: LabelMap,
    ml: float,
    is_cut: bool,
    volume: Volume,
    is_ct: bool,
    last: StageResult,
    before: StageResult | None,
) -> Evidence:
    """Measure a label of which there is something."""
    value = labels.value(name)
    score = last.scores[name]
    inside = score > 0.5
    size = int(np.count_nonzero(inside))
    step = max(1, round((volume.array.size / _SAMPLES) ** (1 / 3)))
    thin = (slice(None, None, step),) * 3
    sample = volume.array[thin][labels.array[thin] == value]
    main = size if is_cut else _main_pieces(inside, name)
    return Evidence(
        ml=ml,
        is_cut=is_cut,
        expected_dice=float(2 * score[inside].sum(dtype=np.float64) / (score.sum(dtype=np.float64) + size)),
        agreement=None if before is None else agreement(name, last, before),
        scattered=1.0 - main / max(last.found[name], size),
        median=float(np.median(sample if len(sample) else volume.array[labels.array == value])),
        beside=alike_beside_label(name, last, volume) if is_ct else None,
    )


def doubts(label: Label, evidence: Evidence, is_ct: bool = True) -> Iterator[tuple[str, str]]:
    """What looks wrong with a result, each as a flag and a sentence.

    Args:
        label: The label.
        evidence: What was measured.
        is_ct: Whether the model is for CT, so that values are HU.

    Yields:
        ``"unsure"``, ``"scattered"``, ``"incomplete"``, ``"intensity"``, ``"small"`` or ``"large"``, and what to
        tell the user.
    """
    title, typical = label.title, TYPICAL.get(label.name)
    agreement = 1.0 if evidence.agreement is None else evidence.agreement
    if evidence.expected_dice < _LEAST_EXPECTED_DICE or agreement < _LEAST_AGREEMENT:
        yield "unsure", f"{title}: the model is not sure of this result; check it before you use it."
    if evidence.scattered > _MOST_SCATTERED:
        share = f"{evidence.scattered:.0%} of what looked like it lies apart from it"
        yield "scattered", f"{title}: {share}; check whether the right part was kept."
    if evidence.beside is not None and evidence.beside > MOST_ALIKE:
        yield "incomplete", f"{title}: much beside it is as bright as it; check whether a part of it is missing."
    if typical is None:
        return
    if is_ct and not typical.hu[0] <= evidence.median <= typical.hu[1]:
        values = f"its values (half of them above {evidence.median:.0f} HU) are unusual"
        yield "intensity", f"{title}: {values}; check whether the scan is a CT in Hounsfield units."
    if evidence.ml > typical.ml[1]:
        yield "large", f"{title}: {evidence.ml:.0f} mL is more than one has; check the result and the scan's spacing."
    if evidence.ml < typical.ml[0] and not evidence.is_cut:
        yield "small", f"{title}: {evidence.ml:.0f} mL is little for an adult; check the result."


def agreement(name: str, last: StageResult, before: StageResult) -> float:
    """Dice of what two stages found of a label, on the earlier one's grid."""
    now, then = resample(last.scores[name], last.grid, before.grid) > 0.5, before.scores[name] > 0.5
    return 2 * int(np.count_nonzero(now & then)) / max(1, int(np.count_nonzero(now)) + int(np.count_nonzero(then)))


def _main_pieces(inside: np.ndarray, name: str) -> int:
    """Voxels in the largest pieces, as many as the organ has; all, if nobody knows how many it has."""
    if name not in TYPICAL:
        return int(np.count_nonzero(inside))
    return int(np.sort(np.bincount(numbered_pieces(inside).ravel())[1:])[-TYPICAL[name].pieces :].sum())
