"""``med3d segment`` beside nnU-Net's own predictor, file to file, on the same weights: time, peak memory, agreement.

    python Testing/benchmarks/bench_nnunet.py --python VENV/bin/python [--classes 118] [--spacing 3] [--slices 60]

``--python`` is an environment with nnunetv2 (2.8.1 was used). The network has the shape of TotalSegmentator's fast one
(3 mm, 118 classes, patches of 112x112x128) with random weights, the scan is a phantom's CT of 512 x 512 voxels of
0.75 mm. Both run once a turn, in turns, each as a process of its own, without mirrored copies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
from bench_segment import ROOT, environment, run_measured

FEATURES = [32, 64, 128, 256, 320, 320]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with nnunetv2")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/med3d-bench-nnunet"))
    parser.add_argument("--classes", type=int, default=118)
    parser.add_argument("--spacing", type=float, default=3.0, help="mm, of the network")
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--thickness", type=float, default=5.0, help="mm, of the scan's slices")
    parser.add_argument("--repeats", type=int, default=3)
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
    folder = arguments.folder / f"{arguments.classes}-{arguments.spacing:g}-{arguments.slices}"
    scan = make_scan(folder, arguments.slices, arguments.thickness)
    theirs = [arguments.python, __file__, "--theirs"]
    model = folder / "Dataset099_Tiny" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    if not model.exists():
        run_measured([*theirs, "make", folder, arguments.classes, arguments.spacing])
    ours = [sys.executable, "-m", "Med3DCore.cli.main"]
    package = folder / "bench-1.0.0.med3d.zip"
    run_measured([*ours, "models", "import-nnunet", model, "--output", package])
    segment = [*ours, "segment", scan, "--model", package, "-o", folder / "ours.nii.gz", "--json", "--quiet"]
    runs: dict[str, list[dict]] = {"nnU-Net": [], "med3d": []}
    for turn in range(arguments.repeats):
        runs["nnU-Net"].append(run_measured([*theirs, "predict", model, scan, folder / "theirs.nii.gz"]))
        runs["med3d"].append(run_measured([*segment, "--device", "cpu"]))
        print(f"turn {turn + 1}: " + ", ".join(f"{name} {found[-1]['seconds']:.1f} s" for name, found in runs.items()))
    tell(runs, folder)


def tell(runs: dict[str, list[dict]], folder: Path) -> None:
    """Print medians, spread, ratios, and how far the labels agree."""
    for name, found in runs.items():
        seconds, memory = [run["seconds"] for run in found], [run["peak_mb"] for run in found]
        spread = f"{min(seconds):.1f} to {max(seconds):.1f} s"
        print(f"{name:8} {median(seconds):7.1f} s ({spread})  {median(memory):6.0f} MB at the peak")
    theirs, ours = (
        [median(run[key] for run in runs[name]) for key in ("seconds", "peak_mb")] for name in ("nnU-Net", "med3d")
    )
    print(f"{theirs[0] / ours[0]:.1f} times as fast, {ours[1] / theirs[1]:.2f} of the memory")
    report = json.loads(runs["med3d"][-1]["output"])
    print(json.dumps(report["seconds"]))
    network = sum(value for key, value in report["seconds"].items() if key.endswith("network"))
    print(f"outside of the network: {1 - network / runs['med3d'][-1]['seconds']:.0%} of the time")
    import SimpleITK as sitk

    both = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{who}.nii.gz"))) for who in ("theirs", "ours")]
    print(f"labels that are the same: {np.mean(both[0] == both[1]):.4%} of the voxels")


def make_scan(folder: Path, slices: int, thickness: float) -> Path:
    """A phantom's CT, 512 x 512 voxels, cut to so many slices."""
    scan = folder / "scan_0000.nii.gz"
    if not scan.exists():
        import SimpleITK as sitk

        spacing = f"0.75,0.75,{thickness:g}"
        command = [sys.executable, "-m", "Med3DCore.cli.main", "phantom", folder, "--seed", "3", "--spacing", spacing]
        subprocess.run(list(map(str, command)), check=True, env=environment())
        sitk.WriteImage(sitk.ReadImage(str(folder / "ct.nii.gz"))[:, :, :slices], str(scan))
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
