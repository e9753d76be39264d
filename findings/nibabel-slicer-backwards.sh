#!/usr/bin/env bash
# nibabel 5.4.2: img.slicer crops an image and gives the crop its place, which is right for [5:] and [::2]. It takes the start of the
# slice for the first voxel as it was written: for [-10:], the top of a scan, that is -10 and not 10 before the end, and for [::-1],
# which its guide has for turning left and right, it is 0 and not the last. The voxels are the right ones, the affine is not: here the
# top of a scan lies 100 mm too low, and a scan that was turned lies 99 mm beside itself. Crops at both ends, [2:-2], are
# right. Nothing is said; known as issue 1533 of nipy/nibabel. One would guess that no crop moves. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import nibabel as nib
import numpy as np

affine = np.diag([-1.0, 1.0, 2.5, 1.0])
affine[:3, 3] = [50, -40, 300]
voxels = np.zeros((100, 80, 40), np.uint8)
voxels[60, 30, 35] = 1
scan = nib.Nifti1Image(voxels, affine)
crops = {
    "[5:, ::2, 10:]": np.s_[5:, ::2, 10:],
    "[2:-2]": np.s_[2:-2],
    "[:, :, -10:]": np.s_[:, :, -10:],
    "[::-1]": np.s_[::-1],
}
place = {}
for name, crop in {"[:]": np.s_[:], **crops}.items():
    part = scan.slicer[crop]
    place[name] = nib.affines.apply_affine(part.affine, np.argwhere(part.get_fdata())[0]).tolist()
    print(f"img.slicer{name}: the voxel lies at {place[name]}")
right = place["[:]"] == place["[2:-2]"] == place["[5:, ::2, 10:]"] == [-10, -10, 387.5]
sys.exit(not (right and place["[:, :, -10:]"] == [-10, -10, 287.5] and place["[::-1]"] == [89, -10, 387.5]))
PY
"$folder/venv/bin/python" "$folder/show.py"
