#!/usr/bin/env bash
# MONAI 1.6.1 with pynrrd 1.1.3: NrrdReader, which LoadImage takes for .nrrd, turns a place into RAS only if the file's space is
# called "left-posterior-superior" or not at all. The format has a short name for it, LPS, and a third space of patients, "left-
# anterior-superior" or LAS. Their axes stay as they are and count as RAS: a voxel that SimpleITK 2.5.7 has on the left is on the
# right, and LoadImage and SaveImage make a mirrored NIfTI of it, without a word. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6 pynrrd==1.1.3 nibabel==5.4.2 SimpleITK==2.5.7
cat > "$folder/show.py" <<'PY'
import logging
import sys
import warnings

import numpy as np
import SimpleITK as sitk

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from monai.transforms import LoadImage, SaveImage  # noqa: E402

folder = sys.argv[1]
scan = np.zeros((6, 5, 4), np.int16)
scan[1, 1, 1] = 7


def place_of_the_voxel(path):
    image = sitk.ReadImage(path)
    index = np.argwhere(sitk.GetArrayFromImage(image) == 7)[0][::-1]
    return image.TransformIndexToPhysicalPoint(index.tolist())


same = []
for space in ("left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "left-anterior-superior", "LAS"):
    header = (
        f"NRRD0004\ntype: int16\ndimension: 3\nspace: {space}\nsizes: 6 5 4\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n"
        "kinds: domain domain domain\nendian: little\nencoding: raw\nspace origin: (10,20,30)\n\n"
    )
    with open(f"{folder}/scan.nrrd", "wb") as file:
        file.write(header.encode() + scan.astype("<i2").tobytes("F"))
    save = SaveImage(folder, "", ".nii.gz", separate_folder=False, print_log=False, channel_dim=None)
    save(LoadImage()(f"{folder}/scan.nrrd"))
    before, after = place_of_the_voxel(f"{folder}/scan.nrrd"), place_of_the_voxel(f"{folder}/scan.nii.gz")
    print(f"{space}: the voxel is at {before} in the NRRD, at {after} in MONAI's NIfTI (LPS mm, by SimpleITK)")
    same.append(np.allclose(before, after))
sys.exit(int(same != [True, False, True, True, False, False]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
