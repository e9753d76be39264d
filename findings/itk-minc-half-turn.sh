#!/usr/bin/env bash
# SimpleITK 2.5.7 and nibabel 5.4.2: MINC, the format of many brain atlases, counts x to the right and y to the front, ITK to the left
# and to the back. ITK turns NIfTI and NRRD to its own axes, but takes MINC's numbers as they are, both when it reads and when it
# writes: a .mnc that becomes a NIfTI is turned by half a turn around the body's axis, and a mask in the one lies on the other side of
# the scan in the other. Nothing is said; the file that ITK writes has "X increases from patient left to right" beside the numbers that
# say otherwise. Both are seen only by another reader, since ITK undoes its own turn. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 nibabel==5.4.2 h5py==3.16.0 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import h5py
import nibabel as nib
import numpy as np
import SimpleITK as sitk

folder = sys.argv[1]
scan = sitk.Image(9, 9, 9, sitk.sitkInt16)
scan.SetOrigin((30, -20, 100))
scan[4, 4, 4] = 1000


def place(path):
    """Where nibabel has the brightest voxel: millimetres to the right, to the front and up."""
    image = nib.load(path)
    voxels = np.asarray(image.dataobj)
    index = np.unravel_index(voxels.argmax(), voxels.shape)
    return np.round(nib.affines.apply_affine(image.affine, index)).astype(int).tolist()


seen = {}
for ending in ("nii", "mnc"):
    sitk.WriteImage(scan, f"{folder}/scan.{ending}")
    seen[f"SimpleITK's {ending}"] = place(f"{folder}/scan.{ending}")
with h5py.File(f"{folder}/scan.mnc") as file:
    for axis in ("xspace", "yspace"):
        print("in the MINC file:", file[f"minc-2.0/dimensions/{axis}"].attrs["comments"].decode())
sitk.WriteImage(sitk.ReadImage(f"{folder}/scan.mnc"), f"{folder}/read.nii")
seen["the mnc read by SimpleITK and written as nii"] = place(f"{folder}/read.nii")
for name, mm in seen.items():
    print(f"the bright voxel in {name}: {mm[0]} mm to the right, {mm[1]} to the front, {mm[2]} up")
sys.exit(list(seen.values()) != [[-34, 16, 104], [34, -16, 104], [-34, 16, 104]])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
