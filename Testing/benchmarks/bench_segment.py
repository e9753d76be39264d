"""From command to files: time, share of the network and peak memory of ``med3d segment``, beside a plain pipeline.

    python Testing/benchmarks/bench_segment.py [--scan CT.nii.gz] [--repeats 3]

Without ``--scan`` a synthetic 512 x 512 x 400 CT (0.75 x 0.75 x 1 mm) is made once and kept in the temporary folder.
The plain pipeline runs the same fine networks the way most tools do: resample the whole scan with SimpleITK, windows
over all of it, enlarge every class to the full grid in float32, compare with 0.5. Each run is a process of its own.
In the time line torch is imported while the scan is read; "start torch" is what of it is left after that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(tempfile.gettempdir()) / "med3d-bench"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain_only:
        plain_pipeline(arguments.scan)
        return
    scan = arguments.scan or make_scan()
    ours = [run_med3d(scan) for _ in range(arguments.repeats)]
    plain = run_measured([sys.executable, __file__, "--plain-only", "--scan", scan])
    best = min(ours, key=lambda run: run["seconds"])
    print_time_line(best)
    spread = ", ".join(f"{run['seconds']:.1f}" for run in ours)
    print(f"\nmed3d segment   {best['seconds']:6.1f} s  {best['peak_mb']:6.0f} MB   (runs: {spread} s)")
    print(f"plain pipeline  {plain['seconds']:6.1f} s  {plain['peak_mb']:6.0f} MB")
    print(
        f"ratio           {plain['seconds'] / best['seconds']:6.1f} x  {plain['peak_mb'] / best['peak_mb']:6.1f} x less"
    )


def make_scan() -> Path:
    """The synthetic scan, made once."""
    scan = FOLDER / "ct.nii.gz"
    if not scan.exists():
        print("making a 512 x 512 x 400 scan ...")
        command = [
            sys.executable,
            "-m",
            "Med3DCore.cli.main",
            "phantom",
            str(FOLDER),
            "--seed",
            "3",
            "--spacing",
            "0.75,0.75,1",
        ]
        subprocess.run(command, check=True, env=environment())
    return scan


def run_med3d(scan: Path) -> dict:
    """The command itself, both organs, to a .seg.nrrd."""
    command = [sys.executable, "-m", "Med3DCore.cli.main", "segment", scan, "-o", FOLDER / "out.seg.nrrd", "--json"]
    FOLDER.mkdir(exist_ok=True)
    run = run_measured([*command, "--quiet"])
    return {**run, "report": json.loads(run["output"])}


def run_measured(command: list) -> dict:
    """Wall-clock seconds, processor time, peak resident memory and output of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment())
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    reader.join()
    if status:
        raise SystemExit(f"failed: {command}")
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "output": output[0],
    }


def environment() -> dict:
    """So that the source tree is found."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def print_time_line(run: dict) -> None:
    """Where the time goes."""
    report = run["report"]
    network = sum(seconds for name, seconds in report["seconds"].items() if name.endswith("network"))
    for name, seconds in report["seconds"].items():
        print(f"{name:20}{seconds:7.2f} s  {seconds / run['seconds']:5.0%}")
    print(f"{'start, end of Python':20}{run['seconds'] - report['total_seconds']:7.2f} s")
    print(f"network in all      {network:7.2f} s  {network / run['seconds']:5.0%} of the time, on {report['device']}")


def plain_pipeline(scan: Path) -> None:
    """The same fine networks, used plainly."""
    import numpy as np
    import SimpleITK as sitk
    import torch

    from Med3DCore.inference.device import choose_device
    from Med3DCore.inference.pipeline import Pipeline
    from Med3DCore.inference.sliding_window import sliding_window
    from Med3DCore.models import Catalogue
    from Med3DCore.preprocessing import Preprocessing

    package = Catalogue().default_for(["liver", "lungs"])
    device = choose_device()
    networks = Pipeline(package, device).networks
    image = sitk.ReadImage(str(scan), sitk.sitkFloat32)
    result = np.zeros(image.GetSize()[::-1], np.uint8)
    for value, name in enumerate(("liver", "lungs"), start=1):
        stage = next(stage for stage in reversed(package.stages) if name in stage.labels)
        preprocessing = Preprocessing.from_dict(stage.preprocessing)
        size = [
            round(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), preprocessing.spacing, strict=True)
        ]
        coarse = sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), preprocessing.spacing)
        array = preprocessing.intensity.measure(None).normalise(sitk.GetArrayFromImage(coarse))
        network = networks.network(stage)
        probability = sliding_window(network, array, stage.window, device, stage.activation, overlap=0.5)
        full = torch.nn.functional.interpolate(torch.from_numpy(probability)[None], result.shape, mode="trilinear")
        result[full[0, stage.labels.index(name)].numpy() > 0.5] = value
    output = sitk.GetImageFromArray(result)
    output.CopyInformation(image)
    sitk.WriteImage(output, str(FOLDER / "plain.nii.gz"), True)


if __name__ == "__main__":
    main()
