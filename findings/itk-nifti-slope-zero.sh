#!/usr/bin/env bash
# NIfTI, SimpleITK 2.5.7 and nibabel 5.4.2: the standard says that scl_slope 0 means "do not scale", and so nibabel gives the
# stored values. ITK, and all that reads by it (TorchIO), takes the slope for 1 and still adds scl_inter: a mask of 0 and 1
# with slope 0 and intercept -1024 is -1024 and -1023 there, and "more than 0" is empty. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import struct
import sys

import nibabel as nib
import numpy as np
import SimpleITK as sitk

path = sys.argv[1]
mask = np.zeros((6, 5, 4), np.int16)
mask[2:4, 2:4, 1:3] = 1
nib.save(nib.Nifti1Image(mask, np.eye(4)), path)
with open(path, "r+b") as file:
    file.seek(112)
    file.write(struct.pack("<ff", 0.0, -1024.0))

by_nibabel = nib.load(path).get_fdata()
by_itk = sitk.GetArrayFromImage(sitk.ReadImage(path))
for name, array in (("nibabel", by_nibabel), ("SimpleITK", by_itk)):
    print(f"{name}: {array.min():g} to {array.max():g}, {np.count_nonzero(array > 0)} voxels above 0")
sys.exit(int((by_nibabel > 0).sum() != 8 or by_itk.max() != -1023))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/mask.nii"
