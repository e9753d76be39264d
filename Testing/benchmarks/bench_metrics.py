"""Time and memory of the surface distances on a liver in a large CT, paired with the naive way and with MONAI.

    python Testing/benchmarks/bench_metrics.py [--size 512 512 400] [--repeats 3] [--skip naive]

Each run has a process of its own, so its peak memory is its own; the ways take turns, so a busy computer slows all of
them. The naive way is what many scripts do: erosion and two distance transforms of the full grid with scipy.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

FIELD_MM = (384.0, 384.0, 400.0)  # x, y, z


def liver(size: tuple[int, int, int], shift_mm: float) -> np.ndarray:
    """A bumpy ellipsoid of about 1.5 litres, uint8 ``[z, y, x]``, built slice by slice to need no memory."""
    x, y, z = (np.arange(n, dtype=np.float32) * (mm / n) for n, mm in zip(size, FIELD_MM, strict=True))
    x, y = x[None, :] - 140 - shift_mm, y[:, None] - 170
    array = np.zeros(size[::-1], np.uint8)
    for index, height in enumerate(z - 200 - shift_mm):
        bumps = 0.05 * (np.sin(x / 7) + np.sin(y / 9 + shift_mm) + np.sin(height / 6))
        array[index] = (x / 95) ** 2 + (y / 65) ** 2 + (height / 60) ** 2 + bumps < 1
    return array


def run_med3d(prediction, reference, spacing):
    """The engine's whole report: overlap and every surface measure."""
    from Med3DCore.evaluation import evaluate
    from Med3DCore.geometry import Geometry
    from Med3DCore.volume import Volume

    geometry = Geometry(prediction.shape[::-1], spacing)
    report = evaluate(Volume(prediction, geometry), Volume(reference, geometry), {"liver": 1})
    measures = report.labels["liver"].measures
    return measures["assd_mm"], measures["mssd_mm"]


def run_naive(prediction, reference, spacing):
    """ASSD and MSSD over the full grid with scipy."""
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, 2)
    surfaces = [mask.astype(bool) ^ ndimage.binary_erosion(mask, structure) for mask in (prediction, reference)]
    sampling = spacing[::-1]
    to_reference = ndimage.distance_transform_edt(~surfaces[1], sampling)[surfaces[0]]
    to_prediction = ndimage.distance_transform_edt(~surfaces[0], sampling)[surfaces[1]]
    pooled = np.concatenate([to_reference, to_prediction])
    return pooled.mean(), pooled.max()


def run_monai(prediction, reference, spacing):
    """MONAI's symmetric average surface distance and Hausdorff distance, from its own kind of surface."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": spacing[::-1]}
    assd = compute_average_surface_distance(*masks, symmetric=True, **options)
    return float(assd), float(compute_hausdorff_distance(*masks, **options))


WAYS = {"med3d": run_med3d, "naive": run_naive, "monai": run_monai}


def measure(way: str, size: tuple[int, int, int], queue: multiprocessing.Queue) -> None:
    """Run one way once; put seconds, peak MiB and the two distances."""
    spacing = tuple(mm / n for n, mm in zip(size, FIELD_MM, strict=True))
    prediction, reference = liver(size, 2.0), liver(size, 0.0)
    begin = time.perf_counter()
    distances = WAYS[way](prediction, reference, spacing)
    queue.put((time.perf_counter() - begin, peak_mib(), *map(float, distances)))


def peak_mib() -> float:
    """Largest resident memory of this process so far, MiB; nan on Windows, which has no such counter in Python."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 400), metavar=("X", "Y", "Z"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=(), choices=WAYS)
    args = parser.parse_args()
    ways = [way for way in WAYS if way not in args.skip and (way != "monai" or importlib.util.find_spec("monai"))]
    runs: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    context = multiprocessing.get_context("spawn")
    for _ in range(args.repeats):
        for way in ways:
            queue = context.Queue()
            process = context.Process(target=measure, args=(way, tuple(args.size), queue))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{way} ended with code {process.exitcode}.")
            runs[way].append(queue.get())
    print(f"{'x'.join(map(str, args.size))} voxels, median of {args.repeats}")
    for way, results in runs.items():
        seconds, mib, assd, mssd = (median(column) for column in zip(*results, strict=True))
        against = "" if way == "med3d" or "med3d" not in runs else ratio(results, runs["med3d"])
        print(f"{way:6s} {seconds:7.2f} s  {mib:6.0f} MiB  ASSD {assd:.4f} mm  MSSD {mssd:.4f} mm{against}")


def ratio(results: list[tuple[float, ...]], ours: list[tuple[float, ...]]) -> str:
    """How many times slower, from pairs of runs that followed each other."""
    return f"  x{median(a[0] / b[0] for a, b in zip(results, ours, strict=True)):.1f} time"


if __name__ == "__main__":
    main()
