"""How far apart slices lie: in even steps, with a few missing, or neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Fractions of the distance between slices: what is even, and what is told all the same.
_EVEN, _NOTICEABLE = 0.1, 0.02
# Positions may be rounded to 1 mm or follow a table that shakes: so many mm, and no more than this of a step, is even.
_ROUNDED_MM, _ROUNDED = 0.6, 0.45
# mm within which two slices are at one place.
SAME_PLACE = 0.01
# Slices that are missing one by one, at most one in so many, are filled in.
_ONE_IN = 20


@dataclass(frozen=True)
class Steps:
    """Even steps along the axis of slices.

    Args:
        distance: mm.
        count: Slices, those to be filled in included.
        start: mm from the first slice's own position to where the steps begin.
        missing: Which of them are to be filled in, from 0.
        problem: Why there are none, as the end of a sentence, or None.
        note: What to warn of, as the end of a sentence, or None.
    """

    distance: float
    count: int
    start: float = 0.0
    missing: tuple[int, ...] = ()
    problem: str | None = None
    note: str | None = None


def even_steps(positions: np.ndarray) -> Steps:
    """The steps that slices make.

    Args:
        positions: float64 [n], mm along the axis, ascending; at least two.
    """
    count, steps = len(positions), np.diff(positions)
    if steps.min() < SAME_PLACE:
        places = 1 + int(np.count_nonzero(steps >= SAME_PLACE))
        where = "1 place" if places == 1 else f"{places} places"
        return Steps(
            0.0, count, problem=f"has {count} images at only {where} (several phases, or positions are missing)"
        )
    distance = float((positions[-1] - positions[0]) / (count - 1))
    jitter = float(np.abs(positions - positions[0] - distance * np.arange(count)).max())
    if jitter <= _EVEN * distance:
        return Steps(distance, count, note=_off(jitter, distance) if jitter > _NOTICEABLE * distance + 0.01 else None)
    return _with_gaps(positions, steps) or _rounded(positions) or _refused(positions, steps, distance)


def _with_gaps(positions: np.ndarray, steps: np.ndarray) -> Steps | None:
    """Even steps of which some slices are missing, one by one."""
    numbers, distance = _numbers(positions, steps)
    lacks = numbers[-1] + 1 - len(numbers)
    if distance is None or len(steps) < 3 or np.diff(numbers).max() > 2 or lacks > max(1, len(numbers) // _ONE_IN):
        return None
    missing = tuple(np.setdiff1d(np.arange(numbers[-1] + 1), numbers).tolist())
    shown = ", ".join(str(number + 1) for number in missing)
    which = f"slice {shown} is" if lacks == 1 else f"slices {shown} are"
    note = f"{which} missing (slices are {distance:.4g} mm apart); the mean of the neighbours was taken"
    return Steps(distance, int(numbers[-1]) + 1, missing=missing, note=note)


def _rounded(positions: np.ndarray) -> Steps | None:
    """Even steps that were rounded, or along which the table shook: the line that fits best."""
    numbers = np.arange(len(positions))
    distance, start = np.polyfit(numbers, positions, 1)
    jitter = np.abs(positions - start - distance * numbers).max()
    if jitter > min(_ROUNDED_MM, _ROUNDED * distance):
        return None
    return Steps(float(distance), len(positions), float(start - positions[0]), note=_off(jitter, distance))


def _refused(positions: np.ndarray, steps: np.ndarray, distance: float) -> Steps:
    numbers, whole = _numbers(positions, steps)
    lacks = int(numbers[-1]) + 1 - len(numbers)
    problem = f"has uneven slices ({steps.min():.4g} to {steps.max():.4g} mm apart)"
    if whole is not None and 0 < lacks <= max(2, len(numbers) // 4):
        slices = "1 slice" if lacks == 1 else f"{lacks} slices"
        problem = f"lacks {slices} (a gap of {steps.max():.4g} mm where slices are {whole:.4g} mm apart)"
    return Steps(distance, len(positions), problem=problem)


def _numbers(positions: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Which slices these would be in steps of the usual length, and that length, or None if they are not in steps."""
    numbers = np.rint((positions - positions[0]) / np.median(steps)).astype(np.int64)
    if np.diff(numbers).min() < 1:
        return numbers, None
    distance = float((positions[-1] - positions[0]) / numbers[-1])
    off = np.abs(positions - positions[0] - distance * numbers).max()
    return numbers, distance if off <= _EVEN / 2 * distance else None


def _off(jitter: float, distance: float) -> str:
    return f"its slices are up to {jitter:.2f} mm from even {distance:.4g} mm steps; even steps were taken"
