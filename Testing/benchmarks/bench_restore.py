"""Labels on the scan's grid, of what a network says on its own: ours beside nnU-Net's, processor time and memory.

    python Testing/benchmarks/bench_restore.py --python VENV/bin/python [--classes 118] [--size 256] [--slices 150]

What the network says is made up as a trained one says it, where random weights leave borders everywhere: a phantom's
body of 118 structures of all sizes, most of them small, and much background; sure inside, a slope of some voxels at
borders, a little noise. Each structure has a direction among the 32 maps before the last layer, and the last layer
asks for it. nnU-Net (2.8.1 was used) gets the logits, as it keeps them, and enlarges, decides and pastes them by its
own function; we get the maps, as we keep them. Both run in turns, each in a process of its own, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from bench_segment import ROOT

VOXEL_MM = (2.6, 1.5, 1.5)
MAPS = 32
_SURE = 14.0  # logit of a structure well inside


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with nnunetv2")
    parser.add_argument("--classes", type=int, default=118)
    parser.add_argument("--spacing", type=float, default=3.0, help="mm, of the network")
    parser.add_argument("--size", type=int, default=256, help="voxels along an edge of the scan's slices")
    parser.add_argument("--slices", type=int, default=150)
    parser.add_argument("--noise", type=float, default=0.05, help="where a structure's own is 1; 3 is random weights")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = (arguments.slices, arguments.size, arguments.size)
    if arguments.side:
        side, folder = arguments.side
        restore = {"ours": restore_ours, "theirs": restore_theirs}[side]
        restore(Path(folder), shape, arguments.spacing)
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), shape, arguments.classes, arguments.spacing, arguments.noise)
        sides = ["ours"] if arguments.only_ours else ["theirs", "ours"]
        runs: dict[str, list[dict]] = {side: [] for side in sides}
        for turn in range(arguments.repeats):
            for side in sides:
                runs[side].append(run(side, arguments, name))
                print(f"turn {turn + 1}: {side} {runs[side][-1]}", flush=True)
        tell(runs, Path(name))


def run(side: str, arguments: argparse.Namespace, folder: str) -> dict:
    """One side once: seconds of the processor, and peak of memory beyond what it was given."""
    values = {key: getattr(arguments, key) for key in ("classes", "spacing", "size", "slices")}
    python = arguments.python if side == "theirs" else sys.executable
    command = [python, __file__, "--side", side, folder]
    command += [text for key, value in values.items() for text in (f"--{key}", str(value))]
    return run_alone(command)


def run_alone(command: list) -> dict:
    """A command on one thread: the JSON in the last line that it prints, see :func:`measure`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def tell(runs: dict[str, list[dict]], folder: Path) -> None:
    """Print medians, their ratio, and how far the labels agree."""
    seconds = {side: median(each["seconds"] for each in found) for side, found in runs.items()}
    for side, found in runs.items():
        spread = [each["seconds"] for each in found]
        megabytes = median(each["mb"] for each in found)
        print(f"{side:7} {seconds[side]:7.2f} s ({min(spread):.2f} to {max(spread):.2f} s)  {megabytes:6.0f} MB")
    if "theirs" in runs:
        labels = [np.load(folder / f"{side}.npy") for side in runs]
        print(f"{seconds['theirs'] / seconds['ours']:.1f} times as fast; {(labels[0] == labels[1]).mean():.4%} agree")


def make(folder: Path, scan: tuple[int, int, int], classes: int, spacing: float, noise: float) -> None:
    """Maps, last layer and logits on the network's grid."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    shape = tuple(round(n * voxel / spacing) for n, voxel in zip(scan, VOXEL_MM, strict=True))
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    body = (x[None, :] / 0.85) ** 2 + (y[:, None] / 0.6) ** 2 < 1
    field = np.zeros(shape, np.uint8)
    radii = np.geomspace(0.32, 0.04, classes - 1)
    for value, radius in enumerate(radii, start=1):  # from large to small, which lie on top: organs, then vessels
        middle = rng.uniform(-0.8, 0.8, 3) * (1, 0.6, 0.85)
        stretch = radius * rng.uniform(0.6, 1.6, 3)
        places = ((axis - m) / s for axis, m, s in zip((z[:, None, None], y[:, None], x), middle, stretch, strict=True))
        inside = sum(place**2 for place in places) < 1
        field[inside & body] = value
    directions = spread_directions(classes, rng)
    maps = directions[field].transpose(3, 0, 1, 2).astype(np.float32)
    for each in maps:
        gaussian_filter(each, 0.7, output=each)
        each += gaussian_filter(rng.standard_normal(shape), 1.0).astype(np.float32) * noise
    weight = (directions * _SURE).astype(np.float32)
    logits = np.tensordot(weight, maps, 1)
    labelled = float((field > 0).mean())
    print(f"{classes} classes on {shape}, {labelled:.0%} of the scan is labelled")
    for name, array in (("maps", maps), ("weight", weight), ("logits", logits)):
        np.save(folder / f"{name}.npy", array)


def spread_directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors ``[count, 32]`` that are pushed apart, as learning does, until none is near another."""
    found = rng.standard_normal((count, MAPS))
    for _ in range(300):
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        alike = found @ found.T - np.eye(count)
        found -= 0.1 * (np.clip(alike, 0, None) ** 3) @ found
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def restore_ours(folder: Path, shape: tuple[int, int, int], _spacing: float) -> None:
    """As :func:`Med3DCore.inference.nnunet.segment.segment_stage` does it."""
    import torch

    from Med3DCore.inference.nnunet.logits import Logits
    from Med3DCore.inference.nnunet.winners import exclusive_labels
    from Med3DCore.preprocessing.nnunet.axis import neighbours

    torch.set_num_threads(1)
    maps, weight = np.load(folder / "maps.npy"), torch.from_numpy(np.load(folder / "weight.npy"))
    logits = Logits(maps, (weight, torch.zeros(len(weight))))
    axes = [neighbours(n, m, 1) for n, m in zip(maps.shape[1:], shape, strict=True)]
    measure(lambda: exclusive_labels(logits, axes, wanted=range(1, len(weight))), folder / "ours.npy")


def restore_theirs(folder: Path, shape: tuple[int, int, int], spacing: float) -> None:
    """By nnU-Net's own function."""
    sys.path.insert(0, str(ROOT / "Testing" / "engine"))
    import torch
    from nnunet_documents import architecture, write_documents
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    logits = torch.from_numpy(np.load(folder / "logits.npy"))
    labels = {"background": 0, **{f"label{number}": number for number in range(1, len(logits))}}
    settings = {
        "patch_size": [112, 112, 128],
        "spacing": [spacing] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": architecture("PlainConvUNet", [MAPS], [[3, 3, 3]], [[1, 1, 1]], n_conv_per_stage=[2]),
    }
    shutil.rmtree(folder / "Dataset099_Tiny", ignore_errors=True)  # of the last turn
    model = write_documents(folder, "3d_fullres", settings, {"labels": labels})
    plans = PlansManager(str(model / "plans.json"))
    manager = plans.get_label_manager(json.loads((model / "dataset.json").read_text()))
    properties = {
        "spacing": list(VOXEL_MM),
        "shape_after_cropping_and_before_resampling": shape,
        "shape_before_cropping": shape,
        "bbox_used_for_cropping": [[0, n] for n in shape],
    }
    given = (logits, plans, plans.get_configuration("3d_fullres"), manager, properties)
    convert = convert_predicted_logits_to_segmentation_with_correct_shape
    measure(lambda: convert(*given, num_threads_torch=1), folder / "theirs.npy")


def measure(work, path: Path, kept: type = np.uint8) -> None:
    """Do it, keep the result as numbers of a type, and print what it took."""
    import resource

    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    result = work()
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    np.save(path, np.asarray(result, kept))
    print(json.dumps({"seconds": round(seconds, 2), "mb": round(peak / 1024)}))


if __name__ == "__main__":
    main()
