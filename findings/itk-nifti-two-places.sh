#!/usr/bin/env bash
# NIfTI, SimpleITK 2.5.7 and nibabel 5.4.2: a file with two places, a qform from the scanner (code 1) and an sform into
# another space by registration (code 2 to 4; 4 is MNI's), lies by the sform in nibabel, and so in MONAI's default reader, but
# by the qform in ITK, and so in TorchIO: ITK takes the sform only if its code is 1 or the qform's is 0. Here the two are 30
# mm apart. No reader says a word; a mask made with one and laid over the scan by the other is 30 mm off. Ends with 1 if that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import nibabel as nib
import numpy as np
import SimpleITK as sitk

places = []
for code in (1, 2, 3, 4):
    image = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), None)
    scanner, registered = np.diag([2.0, 2.0, 3.0, 1.0]), np.diag([2.0, 2.0, 3.0, 1.0])
    registered[:3, 3] = 0, 0, 30
    image.set_qform(scanner, 1)
    image.set_sform(registered, code)
    nib.save(image, sys.argv[1])
    by_nibabel, by_itk = nib.load(sys.argv[1]).affine[2, 3], sitk.ReadImage(sys.argv[1]).GetOrigin()[2]
    print(f"qform code 1 at z = 0 mm, sform code {code} at z = 30 mm: nibabel {by_nibabel:g} mm, SimpleITK {by_itk:g} mm")
    places.append((by_nibabel, by_itk))
sys.exit(places != [(30, 30), (30, 0), (30, 0), (30, 0)])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/scan.nii"
