#!/usr/bin/env bash
# SimpleITK 2.5.7 and nibabel 5.4.2: a scan in micrometres, as of small animals, in three formats that have a field for that.
# SimpleITK turns a NIfTI's micrometres into millimetres, but passes over "space units" of an NRRD and DistanceUnits of a
# MetaImage; nibabel's affine passes over a NIfTI's (xyzt_units). So the same scan is a thousand times as large by format or by
# reader, and a volume a thousand million times, without a word. One would guess one unit for all. Ends with 1 if that changes.
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

folder = sys.argv[1]
scan = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([20.0, 20.0, 20.0, 1.0]))
scan.header.set_xyzt_units("micron")
nib.save(scan, f"{folder}/scan.nii")
heads = {
    "nrrd": (
        'NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nspace units: "um" "um" "um"\nsizes: 4 4 4\n'
        "space directions: (20,0,0) (0,20,0) (0,0,20)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    ),
    "mha": (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nElementSpacing = 20 20 20\nDistanceUnits = um\nDimSize = 4 4 4\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    ),
}
for ending, head in heads.items():
    with open(f"{folder}/scan.{ending}", "wb") as file:
        file.write(head.encode() + bytes(128))

seen = {"nibabel, NIfTI": float(nib.load(f"{folder}/scan.nii").affine[2, 2])}
for name, ending in (("NIfTI", "nii"), ("NRRD", "nrrd"), ("MetaImage", "mha")):
    seen[f"SimpleITK, {name}"] = round(sitk.ReadImage(f"{folder}/scan.{ending}").GetSpacing()[2], 6)
for name, spacing in seen.items():
    print(f"voxels of 20 micrometres are by {name} {spacing:g}")
sys.exit(int(list(seen.values()) != [20, 0.02, 20, 20]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
