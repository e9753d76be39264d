"""``med3d segment`` file to file with what a trained network would say: how much of the time is outside of the network.

    python Testing/benchmarks/bench_trained_like.py [--size 512] [--slices 300] [--folder FOLDER]

``bench_nnunet.py`` has random weights, which leave borders everywhere, the worst case of restoring; no trained network
of 118 classes can be had here. So its network runs as it is, on its scan (run it first), but what is restored are the
made-up maps of ``bench_restore.py``, slice by slice in the place of the network's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench_restore import make
from bench_segment import run_measured

SPACING = 3.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "med3d-bench-nnunet")
    parser.add_argument("--model", type=Path, help="the package; by default the one beside the scan")
    parser.add_argument("--size", type=int, default=256, help="voxels along an edge of the scan's slices")
    parser.add_argument("--slices", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--said", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.said:
        segment(*arguments.said)
        return
    folder = arguments.folder / f"118-{SPACING:g}-{arguments.size}x{arguments.slices}"
    model = arguments.model or folder / "bench-1.0.0.med3d.zip"
    with tempfile.TemporaryDirectory() as said:
        make(Path(said), (150, 180, 256), 118, SPACING, noise=0.05)  # the network's grid of scans of any voxel size
        for _ in range(arguments.repeats):
            run = run_measured([sys.executable, __file__, "--said", said, folder / "scan_0000.nii.gz", model])
            stages = json.loads(run["output"])["seconds"]
            print(f"processor {run['cpu_seconds']:.1f} s, {run['seconds']:.1f} s: {json.dumps(stages)}", flush=True)


def segment(said: Path, scan: Path, model: Path) -> None:
    """The command, restoring what is in a folder."""
    import Med3DCore.cli.main as command
    from Med3DCore.inference.nnunet import segment as stage

    maps, weight = np.load(said / "maps.npy", mmap_mode="r"), np.load(said / "weight.npy")

    class Restorer(stage.Restorer):
        """Takes the next slices of the made-up maps."""

        taken = 0

        def add(self, found: np.ndarray) -> None:
            stop = self.taken + found.shape[1]
            super().add(np.ascontiguousarray(maps[:, self.taken : stop]))
            self.taken = stop

    real = stage.members_of

    def members_of(*given: Any, **named: Any) -> tuple:
        import torch

        members, kept, _ = real(*given, **named)
        return members, kept, (torch.from_numpy(weight), torch.zeros(len(weight)))

    stage.Restorer, stage.members_of = Restorer, members_of
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "labels.nii.gz"
        command.main(
            ["segment", *map(str, (scan, "--model", model, "-o", output)), "--device=cpu", "--json", "--quiet"]
        )


if __name__ == "__main__":
    main()
