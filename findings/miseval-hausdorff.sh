#!/usr/bin/env bash
# miseval 1.3.0, metrics of medical segmentation by their names. "HausdorffDistance" takes each row of the mask for one point of many
# dimensions: an organ that lies 30 rows too low has the distance 0 of a perfect one, since the same rows are there, and a missed organ
# and one 20 columns beside have the same small one. Of "AverageHausdorffDistance", the only one for volumes, comes the greatest
# distance, not the mean: one stray voxel makes 21 of a mean near 0. Neither says it. One would guess distances between borders, in
# voxels, and a mean where the name is average. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q miseval==1.3.0 hausdorff==0.2.6 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
from miseval import evaluate

organ = np.zeros((64, 64), np.uint8)
organ[10:20, 20:40] = 1
predictions = {
    "perfect": organ,
    "30 rows too low": np.roll(organ, 30, axis=0),
    "20 columns beside": np.roll(organ, 20, axis=1),
    "missed": np.zeros_like(organ),
}
plain = {name: round(float(evaluate(organ, found, metric="HausdorffDistance")), 2) for name, found in predictions.items()}
for name, distance in plain.items():
    print(f"a slice, {name}: Dice {evaluate(organ, predictions[name], metric='DSC'):.1f}, HausdorffDistance {distance}")

volume = np.zeros((20, 64, 64), np.uint8)
volume[5:15, 10:30, 20:40] = 1
found = volume.copy()
found[5, 10, 60] = 1
average = float(evaluate(volume, found, metric="AverageHausdorffDistance"))
print(f"a volume with one stray voxel, 21 voxels away: Dice {evaluate(volume, found, metric='DSC'):.4f}, AverageHausdorffDistance {average}")
sys.exit(not (list(plain.values()) == [0, 0, 4.47, 4.47] and average == 21))
PY
"$folder/venv/bin/python" "$folder/show.py"
