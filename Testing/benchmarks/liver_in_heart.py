"""How much of a heart does a model take for liver, in scans whose heart a person marked?

    python Testing/benchmarks/liver_in_heart.py ../shared/data lctsc_s1-104 lctsc_s1-203 --model liver-lungs-0.3.0

Prints mL of what was found above the line under the heart that ``tools/liver_labels.py`` has for the case, and in all.
Nobody labelled these livers, so there is no Dice; but liver above that line is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume, write_label_map
from Med3DCore.volume import LabelMap

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from liver_labels import HEART_LINES, heart


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the CTs")
    parser.add_argument("cases", nargs="+", choices=[name for name, line in HEART_LINES.items() if line])
    parser.add_argument("--model", help="name or file of the model; the one that ships and looks closest if left out")
    parser.add_argument("--out", type=Path, default=Path("runs/livers"), help="folder for the results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.cases:
        volume = read_volume(arguments.data / f"{name}_ct.nii.gz")
        result = segment(volume, ["liver"], arguments.model)
        wrong = heart_ml(result.labels, name, arguments.out)
        flags = " ".join(flag["flag"] for flag in result.flags) or "none"
        print(f"{name}: {wrong:.0f} mL in the heart, of {result.labels.volume_ml('liver'):.0f} mL; warnings: {flags}")


def heart_ml(labels: LabelMap, case: str, folder: Path) -> float:
    """mL of a result above the line under a case's heart; leaves the result in the folder."""
    path = folder / f"{case}_liver.nii.gz"
    write_label_map(labels, path)
    found = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")) > 0
    above, near_line = heart(found.shape, HEART_LINES[case])
    return np.count_nonzero(found & above & ~near_line) * labels.geometry.voxel_volume_ml


if __name__ == "__main__":
    main()
