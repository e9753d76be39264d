#!/usr/bin/env bash
# MONAI 1.6.1 with torch 2.13.0: where a grid gets coarser, mode "nearest" takes the voxel at the low edge of each new one, not that in
# its middle. RandSimulateLowResolution, made after nnU-Net's augmentation of that name, goes down so by default and up by trilinear:
# the scan comes back moved, always to the same side, by 0.7 voxels at zoom 0.6 and by a whole one at a third, while its label stays
# where it was. And Resized of scan and label by ("trilinear", "nearest") puts them apart: at a fifth a label lies 1.8 mm beside its
# organ along each axis, by the affine that both share. "nearest-exact" heals both. Nothing is said. One would guess that a transform
# of intensities moves nothing, and that scan and label stay together. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import RandSimulateLowResolution, Resized

grid = np.indices((120, 120, 120))
ball = np.exp(-((grid - 62) ** 2).sum(axis=0) / (2 * 15.0**2)).astype(np.float32)
scan = MetaTensor(torch.from_numpy(ball)[None], affine=torch.eye(4, dtype=torch.float64))


def centre(image):
    """The centre of what is brighter than a half, in mm by the scan's or the small image's affine."""
    index = np.argwhere(np.asarray(image[0]) > 0.5).mean(axis=0)
    return (getattr(image, "affine", scan.affine).numpy() @ [*index, 1])[:3]


moved = {}
for mode in ("nearest", "nearest-exact"):
    for zoom in (0.6, 1 / 3):
        coarse = RandSimulateLowResolution(prob=1.0, zoom_range=(zoom, zoom), downsample_mode=mode)(scan)
        moved[mode, zoom] = np.abs(centre(coarse) - centre(scan)).min()
        print(f"{mode}: RandSimulateLowResolution at zoom {zoom:.2f} moves by {moved[mode, zoom]:.2f} voxels along each axis")
    pair = {"scan": scan, "label": (scan > 0.5).float()}
    small = Resized(["scan", "label"], (24, 24, 24), mode=("trilinear", mode))(pair)
    moved[mode] = np.abs(centre(small["label"]) - centre(small["scan"])).min()
    print(f"{mode}: Resized to a fifth puts the label {moved[mode]:.2f} mm beside the scan along each axis")
low = all(moved["nearest", zoom] > 0.5 > 0.1 > moved["nearest-exact", zoom] for zoom in (0.6, 1 / 3))
sys.exit(not (low and moved["nearest"] > 1.5 > 0.1 > moved["nearest-exact"]))
PY
"$folder/venv/bin/python" "$folder/show.py"
