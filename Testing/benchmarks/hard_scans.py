"""How well does a model do on harder scans than those it was chosen on, and does it say when it does badly?

    python Testing/benchmarks/hard_scans.py runs/data/dataset.json --empty pelvis_ct.nii.gz --json hard.json

Takes the validation cases of a data set and makes each harder in one way at a time: other HU, noise, thick slices, half
of the field of view, a turned patient, arms down on a table; shows only a part of the organ; and shows what lies beyond
it, where nothing should be found, as in three phantoms' pelves and in scans known to show no organ (--empty).
Prints Dice against people's labels (for scans without the organ the false volume in mL) and which warnings came.
Cases are to be stored along the patient's axes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from robustness import dice, on_grid

from Med3DCore.geometry import IDENTITY, Geometry, triple
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.segment import conclude
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import Catalogue
from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.progress import Progress
from Med3DCore.training.cases.description import read_cases
from Med3DCore.volume import Volume

ORGANS = ("liver", "lungs")
AIR = -1000
# Slices this close to an organ's last one may hold some of it that nobody labelled.
CLEAR_MM = 15.0
LEAST_MM = 40.0


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan and one organ's mask on the same grid."""

    volume: Volume
    organ: str
    truth: np.ndarray


@dataclass(frozen=True)
class Score:
    """A line of the table; of a scan without the organ there is no Dice."""

    case: str
    organ: str
    change: str
    dice: float | None
    ml: float
    flags: tuple[str, ...]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data set description")
    parser.add_argument("--empty", type=Path, nargs="*", default=[], help="scans with neither liver nor lungs")
    parser.add_argument("--model", help="name or file of a model (default: the shipped one)")
    parser.add_argument("--json", type=Path, help="also write the scores here")
    arguments = parser.parse_args()
    pipeline = Pipeline(Catalogue().choose(ORGANS, arguments.model), choose_device())
    scores = []
    for change, scan in [*hard_scans(arguments.data), *empty_scans(arguments.empty)]:
        scores.append(measure(pipeline, change, scan))
        print(line(scores[-1]), flush=True)
    print(*summary(scores), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(score) for score in scores], indent=1))


def measure(pipeline: Pipeline, change: str, scan: Scan) -> Score:
    """Segment one scan."""
    progress = Progress()
    result = conclude(pipeline.segment(scan.volume, [scan.organ], progress), pipeline, progress)
    found = result.labels.mask(scan.organ)
    score = dice(found, scan.truth) if scan.truth.any() else None
    flags = tuple(flag["flag"] for flag in result.flags)
    return Score(scan.volume.name, scan.organ, change, score, result.labels.volume_ml(scan.organ), flags)


def hard_scans(data: Path) -> Iterator[tuple[str, Scan]]:
    """Every validation case and organ: as it is, harder, only a part of it, and what lies beyond."""
    for case in read_cases(data):
        if case.split == "validation":
            volume, labels = read_volume(case.image), read_label_map(case.label)
            for organ in case.annotated:
                scan = Scan(volume, organ, case.inside(labels, organ))
                for change, make in {"as it is": lambda s: s, **HARDER}.items():
                    yield change, make(scan)
                yield from parts(scan)
                yield from beyond(scan)


def empty_scans(paths: list[Path]) -> Iterator[tuple[str, Scan]]:
    """Scans in which there is nothing to find, once for each organ."""
    pelves = [make_phantom(seed, PhantomSettings(region=(-310.0, -140.0))).ct for seed in (100, 101, 102)]
    for volume in (*pelves, *map(read_volume, paths)):
        for organ in ORGANS:
            yield "without the organ", Scan(volume, organ, np.zeros(volume.array.shape, bool))


# -- harder --------------------------------------------------------------------------------------------------------


def shifted(scan: Scan, hu: int) -> Scan:
    """As from a scanner that is out of tune."""
    return Scan(scan.volume.with_array((scan.volume.array + hu).astype(np.int16)), scan.organ, scan.truth)


def noisy(scan: Scan, sd: float) -> Scan:
    """As at a low dose; HU."""
    noise = np.random.default_rng(0).normal(0, sd, scan.truth.shape)
    array = np.clip(scan.volume.array + noise, -1024, 3071).astype(np.int16)
    return Scan(scan.volume.with_array(array), scan.organ, scan.truth)


def regridded(scan: Scan, change: Callable[[Volume], Volume]) -> Scan:
    """The volume and the mask on another grid."""
    mask = scan.volume.with_array((scan.truth * 1000).astype(np.int16))
    return Scan(change(scan.volume), scan.organ, change(mask).array > 500)


def thick(scan: Scan, mm: float) -> Scan:
    """In thick slices."""
    return regridded(scan, lambda volume: on_grid(volume, (*volume.spacing[:2], mm)))


def turned(scan: Scan, degrees: float) -> Scan:
    """The patient turned on the table."""

    def turn(volume: Volume) -> Volume:
        image = on_grid(volume, volume.spacing, (0.0, degrees))
        return Volume(
            image.array, Geometry(image.geometry.size, image.spacing, image.geometry.origin, IDENTITY), volume.name
        )

    return regridded(scan, turn)


def half(scan: Scan) -> Scan:
    """Only the half of the field of view, cut in the middle, that shows more of the organ."""
    middle = scan.truth.shape[2] // 2
    more = scan.truth[:, :, :middle].sum() > scan.truth[:, :, middle:].sum()
    return cropped(scan, 2, *((0, middle) if more else (middle, scan.truth.shape[2])))


def cropped(scan: Scan, axis: int, first: int, stop: int) -> Scan:
    """Only some slices along an array axis."""
    place = tuple(slice(first, stop) if a == axis else slice(None) for a in range(3))
    start, end = [0, 0, 0], list(scan.volume.geometry.size)
    start[2 - axis], end[2 - axis] = first, stop
    volume = Volume(scan.volume.array[place], scan.volume.geometry.crop(triple(start), triple(end)), scan.volume.name)
    return Scan(volume, scan.organ, scan.truth[place])


def arms_down(scan: Scan) -> Scan:
    """Upper arms beside the chest with streaks between them, and a table under the back."""
    dx, dy, _ = scan.volume.spacing
    width = round(140 / dx)
    depth = round(50 / dy)
    array = np.pad(scan.volume.array, ((0, 0), (0, depth), (width, width)), constant_values=AIR).astype(np.float32)
    body = (array > -300).mean(axis=0) > 0.3
    ys, xs = (np.flatnonzero(body.any(axis=a)) for a in (1, 0))
    y, x = (np.arange(n)[shape] * d for n, d, shape in zip(body.shape, (dy, dx), ((..., None), ()), strict=True))
    middle = dy * (ys[0] + ys[-1]) / 2
    drawn = np.full(body.shape, AIR, np.float32)
    for centre in (dx * xs[0] - 50, dx * xs[-1] + 50):
        radius = np.hypot(y - middle, x - centre)
        for largest, hu in ((48, -100), (40, 50), (13, 900), (8, 100)):
            drawn[radius < largest] = hu
    under = y - dy * ys[-1]
    table = (np.abs(x - dx * (xs[0] + xs[-1]) / 2) < 220) & (under > 4)
    drawn[table & (under < 28)] = 150
    drawn[table & (under > 8) & (under < 24)] = -850
    streaks = np.random.default_rng(0).normal(0, 25, array.shape[:2]) * (np.abs(y[:, 0] - middle) < 50)
    array = np.where(array > -700, array, np.maximum(array, drawn)) + streaks[:, :, None] * (array > AIR)
    volume = scan.volume.geometry
    origin = (volume.origin[0] - width * dx, *volume.origin[1:])
    geometry = Geometry(array.shape[::-1], volume.spacing, origin, IDENTITY)
    truth = np.pad(scan.truth, ((0, 0), (0, depth), (width, width)))
    return Scan(Volume(np.clip(array, -1024, 3071).astype(np.int16), geometry, scan.volume.name), scan.organ, truth)


HARDER: dict[str, Callable[[Scan], Scan]] = {
    "+20 HU": lambda scan: shifted(scan, 20),
    "-20 HU": lambda scan: shifted(scan, -20),
    "noise of 40 HU": lambda scan: noisy(scan, 40),
    "5 mm slices": lambda scan: thick(scan, 5.0),
    "half of the field of view": half,
    "turned by 20 degrees": lambda scan: turned(scan, 20.0),
    "arms down, table": arms_down,
}

# -- parts and nothing ---------------------------------------------------------------------------------------------


def parts(scan: Scan) -> Iterator[tuple[str, Scan]]:
    """Scans that end in the organ, between these shares of its height."""
    low, high = _slices(scan)
    shares = {"liver": ((0.0, 0.5), (0.5, 1.0)), "lungs": ((0.0, 0.2), (0.0, 0.4))}
    names = {0.0: "lowest", 0.5: "highest"}
    for first, last in shares[scan.organ]:
        start = low + round(first * (high - low)) if first else 0
        stop = low + round(last * (high - low)) if last < 1 else len(scan.truth)
        yield f"{names[first]} {last - first:.0%} only", cropped(scan, 0, start, stop)


def beyond(scan: Scan) -> Iterator[tuple[str, Scan]]:
    """The slices below and above the organ, where there are enough."""
    low, high = _slices(scan)
    mm = scan.volume.spacing[2]
    clear = round(CLEAR_MM / mm)
    for change, start, stop in (
        ("below the organ", 0, low - clear),
        ("above the organ", high + clear, len(scan.truth)),
    ):
        if (stop - start) * mm >= LEAST_MM:
            yield change, cropped(scan, 0, start, stop)


def _slices(scan: Scan) -> tuple[int, int]:
    """First and last + 1 slice with some of the organ."""
    found = np.flatnonzero(scan.truth.any(axis=(1, 2)))
    return int(found[0]), int(found[-1]) + 1


# -- telling -------------------------------------------------------------------------------------------------------


def line(score: Score) -> str:
    """One score."""
    value = f"{score.ml:8.1f} mL" if score.dice is None else f"Dice {score.dice:.3f}  "
    return f"{score.case:24} {score.organ:6} {score.change:26} {value} {', '.join(score.flags)}"


def summary(scores: list[Score]) -> Iterator[str]:
    """For each organ and change: mean and worst Dice and the largest loss against the same case as it is."""
    plain = {(s.case, s.organ): s.dice for s in scores if s.change == "as it is"}
    for organ, change in dict.fromkeys((s.organ, s.change) for s in scores):
        group = [s for s in scores if (s.organ, s.change) == (organ, change)]
        values = [s.dice for s in group if s.dice is not None]
        if values:
            losses = [plain[s.case, s.organ] - s.dice for s in group]
            told = f"mean {np.mean(values):.3f}, worst {min(values):.3f}, largest loss {max(losses):+.3f}"
        else:
            told = f"largest false volume {max(s.ml for s in group):.1f} mL"
        yield f"{organ:6} {change:26} n = {len(group)}: {told}"


if __name__ == "__main__":
    main()
