"""``med3d segment`` beside nnU-Net's own predictor, file to file, on the same weights: time, peak memory, agreement.

    python Testing/benchmarks/bench_nnunet.py --python VENV/bin/python [--classes 118] [--spacing 3] [--size 512]

``--python`` is an environment with nnunetv2 (2.8.1 was used). The network has the shape of TotalSegmentator's fast one
(3 mm, 118 classes, patches of 112x112x128) with random weights, the scan is a phantom's CT of 384 x 384 x 390 mm. Both
run once a turn, in turns, each as a process of its own, without mirrored copies. ``--only-ours`` is for a scan that is
too large for nnU-Net here, whose logits alone take 4 bytes a class and voxel.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from bench_segment import ROOT, environment, run_measured

KEYS = ("seconds", "cpu_seconds", "peak_mb")
FEATURES = [32, 64, 128, 256, 320, 320]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with nnunetv2")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "med3d-bench-nnunet")
    parser.add_argument("--classes", type=int, default=118)
    parser.add_argument("--spacing", type=float, default=3.0, help="mm, of the network")
    parser.add_argument("--size", type=int, default=512, help="voxels along an edge of the scan's slices")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--record", type=Path, help="a JSON file for the figures of all turns")
    parser.add_argument("--theirs", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.theirs:
        step, *values = arguments.theirs
        {"make": make_results, "predict": predict}[step](*values)
        return
    if subprocess.run([arguments.python, "-c", "import nnunetv2"], capture_output=True, check=False).returncode:
        print(
            f"{arguments.python} has no nnunetv2, so there is nothing to compare with; give --python of one that has."
        )
        return
    name = f"{arguments.classes}-{arguments.spacing:g}-{arguments.size}x{arguments.slices}"
    folder = arguments.folder / name
    scan = make_scan(folder, arguments.size, arguments.slices)
    theirs = [arguments.python, __file__, "--theirs"]
    model = folder / "Dataset099_Tiny" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    if not model.exists():
        run_measured([*theirs, "make", folder, arguments.classes, arguments.spacing])
    ours = [sys.executable, "-m", "Med3DCore.cli.main"]
    package = folder / "bench-1.0.0.med3d.zip"
    run_measured([*ours, "models", "import-nnunet", model, "--output", package])
    segment = [*ours, "segment", scan, "--model", package, "--device", "cpu", "--json", "--quiet"]
    commands = {"nnU-Net": [*theirs, "predict", model, scan, folder / "nnU-Net.nii.gz"]}
    pair = {
        "med3d": [*segment, "-o", folder / "med3d.nii.gz"],
        "med3d --fast": [*segment, "-o", folder / "med3d --fast.nii.gz", "--fast"],
    }
    commands = pair if arguments.only_ours else {**commands, **pair}
    runs: dict[str, list[dict]] = {side: [] for side in commands}
    for turn in range(arguments.repeats):
        for side, command in commands.items():
            runs[side].append(run_measured(command))
            print(f"turn {turn + 1}: {side} {runs[side][-1]['seconds']:.1f} s", flush=True)
    tell(runs)
    if arguments.record:
        kept = {side: [{key: round(run[key], 1) for key in KEYS} for run in found] for side, found in runs.items()}
        arguments.record.write_text(json.dumps({name: kept}, indent=1) + "\n")
    if not arguments.only_ours:
        compare(runs, folder)


def tell(runs: dict[str, list[dict]]) -> None:
    """Print medians and spread, and where our time goes."""
    for name, found in runs.items():
        seconds = [run["seconds"] for run in found]
        spread = f"{min(seconds):.1f} to {max(seconds):.1f} s"
        cpu, memory = (median(run[key] for run in found) for key in ("cpu_seconds", "peak_mb"))
        print(f"{name:12} {median(seconds):7.1f} s ({spread})  processor {cpu:7.1f} s  {memory:6.0f} MB at the peak")
        if name != "nnU-Net":
            stages = json.loads(found[-1]["output"])["seconds"]
            network = sum(value for key, value in stages.items() if key.endswith("network"))
            print(f"{'':12} outside of the network {1 - network / seconds[-1]:.0%}: {json.dumps(stages)}")


def compare(runs: dict[str, list[dict]], folder: Path) -> None:
    """Print ratios, and how far the labels agree."""
    import SimpleITK as sitk

    medians = {name: [median(run[key] for run in found) for key in KEYS] for name, found in runs.items()}
    labels = {name: sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}.nii.gz"))) for name in runs}
    for name in list(runs)[1:]:
        wall, cpu, memory = (their / our for their, our in zip(medians["nnU-Net"], medians[name], strict=True))
        same = np.mean(labels["nnU-Net"] == labels[name])
        print(
            f"{name}: {wall:.1f} times as fast, {cpu:.1f} by processor time, {1 / memory:.2f} of the memory; "
            f"{same:.3%} of the voxels have the same label"
        )


def make_scan(folder: Path, size: int, slices: int) -> Path:
    """A phantom's CT of 384 x 384 x 390 mm, of ``size`` x ``size`` x ``slices`` voxels."""
    scan = folder / "scan_0000.nii.gz"
    if not scan.exists():
        import SimpleITK as sitk

        spacing = f"{384 / size:g},{384 / size:g},{390 / slices:g}"
        command = [sys.executable, "-m", "Med3DCore.cli.main", "phantom", folder, "--seed", "3", "--spacing", spacing]
        subprocess.run(list(map(str, command)), check=True, env=environment())
        sitk.WriteImage(sitk.ReadImage(str(folder / "ct.nii.gz"))[:size, :size, :slices], str(scan))
    return scan


def make_results(folder: str, classes: str, spacing: str) -> None:
    """A results folder with random weights; runs where nnU-Net is."""
    sys.path.insert(0, str(ROOT / "Testing" / "engine"))
    import torch
    from nnunet_documents import architecture, write_checkpoint, write_documents
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    count, stages = int(classes), len(FEATURES)
    strides = [[1, 1, 1], *[[2, 2, 2]] * (stages - 2), [1, 1, 2]]
    counts = {"n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1)}
    network = architecture("PlainConvUNet", FEATURES, [[3, 3, 3]] * stages, strides, **counts)
    torch.manual_seed(0)
    weights = get_network_from_plans(*network.values(), 1, count, deep_supervision=True).state_dict()
    for key, tensor in weights.items():  # so that no class wins everywhere
        if "seg_layers" in key and tensor.ndim == 5:
            tensor -= tensor.mean(dim=1, keepdim=True)
    settings = {
        "patch_size": [112, 112, 128],
        "spacing": [float(spacing)] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": network,
    }
    labels = {"background": 0, **{f"label{number}": number for number in range(1, count)}}
    model = write_documents(Path(folder), "3d_fullres", settings, {"labels": labels})
    write_checkpoint(model / "fold_0" / "checkpoint_final.pth", weights, "3d_fullres", ())


def predict(model: str, scan: str, output: str) -> None:
    """nnU-Net's predictor from file to file, in this process alone; runs where nnU-Net is."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    device = torch.device("cpu")
    predictor = nnUNetPredictor(
        use_mirroring=False, device=device, perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(model, (0,))
    predictor.predict_from_files_sequential([[scan]], [output.removesuffix(".nii.gz")], False, True)


if __name__ == "__main__":
    main()
