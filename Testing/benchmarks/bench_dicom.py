"""DICOM: reading a large series beside SimpleITK's reader, and writing its SEG and RTSTRUCT.

    python Testing/benchmarks/bench_dicom.py [--slices 600] [--rounds 3]

Makes a series of 512 x 512 pixels in a temporary folder. Both readers take turns; seconds are wall clock, with
processor time in brackets, since a busy computer stretches the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from ct_series import write_ct_series

from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan, read_volume, write_label_maps
from Med3DCore.io.dicom.series import Series
from Med3DCore.io.dicom_results import Origin
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments.slices, arguments.rounds)


def compare(folder: Path, slices: int, rounds: int) -> None:
    """Make, read and write."""
    geometry = Geometry((512, 512, slices), (0.7, 0.7, 0.8), (-180.0, -170.0, 0.0))
    print(f"512 x 512 x {slices}, medians of {rounds}")
    write_ct_series(folder / "ct", np.random.default_rng(0).integers(-1000, 1500, geometry.shape, np.int16), geometry)
    ours, theirs = [], []
    for _ in range(rounds):
        mine, time_of_mine = timed(lambda: read_volume(folder / "ct").array)
        other, time_of_other = timed(lambda: sitk.GetArrayFromImage(read_with_itk(folder / "ct")))
        assert np.array_equal(mine, other)
        ours.append(time_of_mine)
        theirs.append(time_of_other)
    show("read, Med3D", ours)
    show("read, SimpleITK", theirs)
    for place, kind in enumerate(("wall clock", "processor time")):
        mine, other = (statistics.median(each[place] for each in times) for times in (ours, theirs))
        print(f"{other / mine:.2f} times ({kind})")
    scan, array = find_scan(folder / "ct"), organs(geometry.shape)
    assert isinstance(scan, Series)
    labels = LabelMap(array, scan.geometry, "labels", find_labels(["liver", "lungs"]))
    for name, labelmap in (("r.seg.dcm", False), ("l.seg.dcm", True), ("r.rtstruct.dcm", False)):
        origin = Origin(scan, "liver-lungs-0.0.0", "", labelmap)
        show(
            f"write {'label map ' if labelmap else ''}{name[2:-4]}",
            [timed(lambda: write_label_maps(labels, [folder / name], origin))[1] for _ in range(rounds)],  # noqa: B023
        )
        print(f"{(folder / name).stat().st_size / 1e6:8.1f} MB")


def organs(shape: tuple[int, int, int]) -> np.ndarray:
    """Two rough ellipsoids with holes, of the size of a liver and lungs."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    rough = 0.02 * np.sin(40 * x) * np.sin(37 * y)
    array = np.zeros(shape, np.uint8)
    array[(z + 0.4) ** 2 / 0.16 + y**2 / 0.25 + (x + 0.3) ** 2 / 0.2 < 1 + rough] = 1
    array[(z - 0.5) ** 2 / 0.2 + y**2 / 0.2 + x**2 / 0.4 < 1 + rough] = 2
    array[(np.sin(60 * x) > 0.98) & (np.sin(60 * y) > 0.98) & (array == 2)] = 0
    return array


def read_with_itk(folder: Path) -> sitk.Image:
    """As everybody does it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What it gives, wall clock and processor time in seconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - start, time.process_time() - start_cpu)


def show(name: str, times: list[tuple[float, float]]) -> None:
    """Median, range and processor time."""
    wall, cpu = zip(*times, strict=True)
    print(
        f"{name:24}{statistics.median(wall):6.2f} s ({min(wall):.2f} to {max(wall):.2f}; {statistics.median(cpu):.2f})"
    )


if __name__ == "__main__":
    main()
