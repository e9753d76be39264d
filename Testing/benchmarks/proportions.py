"""How often exchanged axes and a wrong spacing are told, and how often honest headers are doubted.

python Testing/benchmarks/proportions.py ../shared/data

Each CT, and each part of it as orientation.py cuts them, is stored along its axes in all six orders under one header,
and with voxels of 1 mm claimed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from orientation import parts

from Med3DCore.geometry import Geometry
from Med3DCore.inference.orientation import check_orientation
from Med3DCore.io import read_volume
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

HONEST = (0, 1, 2)


def told(volume: Volume, axes: tuple[int, ...], spacing: tuple[float, float, float]) -> str:
    """What is said of the voxels with their axes z, y, x in another order."""
    array, progress = np.ascontiguousarray(volume.array.transpose(axes)), Progress()
    check_orientation(Volume(array, Geometry(array.shape[::-1], spacing), "scan"), progress)
    said = [sentence for sentence in progress.warnings if "axes of" in sentence or "cm wide" in sentence]
    return " and ".join("axes" if "axes of" in sentence else "spacing" for sentence in said) or "nothing"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with CASE_ct.nii.gz")
    counts: dict[tuple[str, str], Counter[str]] = {}
    for path in sorted(parser.parse_args().data.glob("*_ct.nii.gz")):
        for part, volume in parts(read_volume(path)):
            for axes in permutations(HONEST):
                counts.setdefault((part, f"axes {axes}"), Counter())[told(volume, axes, volume.spacing)] += 1
            counts.setdefault((part, "1 mm"), Counter())[told(volume, HONEST, (1.0, 1.0, 1.0))] += 1
    for (part, what), count in sorted(counts.items()):
        print(f"{part:12}{what:18}{dict(count)}")


if __name__ == "__main__":
    main()
