"""From a file to what the network sees (read, crop, normalise, resample): ours beside nnU-Net's, processor time.

    python Testing/benchmarks/bench_prepare.py --python VENV/bin/python [--spacing 3] [--size 512] [--slices 300]

Scan and model are those of ``bench_nnunet.py``. Both run in turns, each in a process of its own, on one thread. The
start of Python and imports are not counted: they would be most of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from bench_nnunet import make_scan
from bench_restore import measure, run_alone
from bench_segment import run_measured


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with nnunetv2")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "med3d-bench-nnunet")
    parser.add_argument("--spacing", type=float, default=3.0, help="mm, of the network")
    parser.add_argument("--size", type=int, default=512, help="voxels along an edge of the scan's slices")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, *paths = arguments.side
        {"ours": prepare_ours, "theirs": prepare_theirs}[side](*map(Path, paths))
        return
    folder = arguments.folder / f"118-{arguments.spacing:g}-{arguments.size}x{arguments.slices}"
    scan = make_scan(folder, arguments.size, arguments.slices)
    model = folder / "Dataset099_Tiny" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    if not model.exists():
        bench = Path(__file__).with_name("bench_nnunet.py")
        run_measured([arguments.python, bench, "--theirs", "make", folder, 118, arguments.spacing])
    runs: dict[str, list[dict]] = {"theirs": [], "ours": []}
    for _ in range(arguments.repeats):
        for side, found in runs.items():
            python = arguments.python if side == "theirs" else sys.executable
            found.append(run_alone([python, __file__, "--side", side, model, scan, folder / f"{side}.npy"]))
            print(side, found[-1], flush=True)
    seconds = {side: median(run["seconds"] for run in found) for side, found in runs.items()}
    theirs, ours = (np.load(folder / f"{side}.npy") for side in runs)
    differs = abs(theirs - ours).max()
    print(f"{seconds['theirs'] / seconds['ours']:.1f} times as fast; voxels differ by {differs:.1g} at most")


def prepare_ours(model: Path, scan: Path, output: Path) -> None:
    """As :func:`Med3DCore.inference.nnunet.segment.segment_stage` does it."""
    from Med3DCore.io import read_volume
    from Med3DCore.models.nnunet.importing import import_nnunet
    from Med3DCore.preprocessing.imported import imported_preprocessing
    from Med3DCore.system.allocator import keep_freed_memory

    keep_freed_memory()  # as the command and the worker do
    preprocessing = imported_preprocessing(import_nnunet(model)[0].stages[0].preprocessing)

    def prepare() -> np.ndarray:
        volumes = [read_volume(scan)]
        return preprocessing.apply(volumes, preprocessing.frame(volumes))

    measure(prepare, output, np.float32)


def prepare_theirs(model: Path, scan: Path, output: Path) -> None:
    """By nnU-Net's own class."""
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans, description = PlansManager(str(model / "plans.json")), json.loads((model / "dataset.json").read_text())
    configuration, preprocessor = plans.get_configuration("3d_fullres"), DefaultPreprocessor(verbose=False)
    measure(lambda: preprocessor.run_case([str(scan)], None, plans, configuration, description)[0], output, np.float32)


if __name__ == "__main__":
    main()
