#!/usr/bin/env bash
# dcmrtstruct2nii 5 and platipy 0.7.2, with SimpleITK 2.5.7: outlines that lie just below the first slice of a scan (a body
# drawn on the whole series, the scan cut to the part of interest) are painted into its last slices, at the other end: the slice
# number -1 is taken as numpy's "last". Both guard the upper end only: there platipy leaves outlines out, and dcmrtstruct2nii
# stops. One would guess that both ends are alike. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 pydicom==2.4.4 numpy==1.26.4 scikit-image==0.24.0 termcolor==2.5.0
"$folder/venv/bin/pip" install -q --no-deps dcmrtstruct2nii==5 platipy==0.7.2
cat > "$folder/show.py" <<'PY'
import sys

import SimpleITK as sitk
from dcmrtstruct2nii.adapters.convert.rtstructcontour2mask import DcmPatientCoords2Mask
from platipy.dicom.io.rtstruct_to_nifti import transform_point_set_from_dicom_struct
from pydicom import Dataset

structure, roi, outline = Dataset(), Dataset(), Dataset()
roi.ROINumber, roi.ROIName = 1, "body"
outline.ReferencedROINumber, outline.ContourSequence = 1, []
for z in (10, 15, 20, 25):
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.ContourData = [4.5, 4.5, z, 14.5, 4.5, z, 14.5, 14.5, z, 4.5, 14.5, z]
    outline.ContourSequence.append(contour)
structure.StructureSetROISequence, structure.ROIContourSequence = [roi], [outline]

scan = sitk.Image(20, 20, 6, sitk.sitkInt16)
scan.SetSpacing((1, 1, 5))
scan.SetOrigin((0, 0, 20))

(by_platipy,), _ = transform_point_set_from_dicom_struct(scan, structure)
points = [
    {"type": "CLOSED_PLANAR", "points": dict(zip("xyz", (one.ContourData[axis::3] for axis in range(3)), strict=True))}
    for one in outline.ContourSequence
]
by_dcmrtstruct2nii = DcmPatientCoords2Mask().convert(points, scan, 0, 1)

print("a body drawn at 10, 15, 20 and 25 mm, a scan of slices at 20, 25, ... 45 mm; voxels in each of them:")
seen = []
for name, mask in (("dcmrtstruct2nii", by_dcmrtstruct2nii), ("platipy", by_platipy)):
    counts = sitk.GetArrayFromImage(mask).sum(axis=(1, 2)).tolist()
    print(f"    {name:15} {counts}")
    seen.append([count > 0 for count in counts])
sys.exit(int(seen != [[True, True, False, False, True, True]] * 2))
PY
"$folder/venv/bin/python" "$folder/show.py" 2>&1 | grep -v -e Zenodo -e '^ *Please cite' -e '^Thomas' -e '^ *$'
