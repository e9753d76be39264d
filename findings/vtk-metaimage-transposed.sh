#!/usr/bin/env bash
# VTK 9.7.2: vtkMetaImageReader takes the TransformMatrix of a MetaImage, in which ITK's MetaIO has the direction of one axis after
# the other, for a matrix of rows: the direction is transposed. A scan that is turned by 90 degrees is turned the other
# way than in SimpleITK 2.5.7, and vtkMetaImageWriter does the same in reverse. Scans along the axes that are only mirrored are
# right, for their matrix is symmetric. Nothing is said. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q vtk==9.7.2 SimpleITK==2.5.7 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import SimpleITK as sitk
import vtk

seen = []
for name, direction in (("mirrored", (-1, 0, 0, 0, -1, 0, 0, 0, 1)), ("turned", (0, -1, 0, 1, 0, 0, 0, 0, 1))):
    scan = sitk.Image(6, 5, 4, sitk.sitkInt16)
    scan.SetSpacing((2, 3, 4))
    scan.SetOrigin((10, 20, 30))
    scan.SetDirection(direction)
    sitk.WriteImage(scan, sys.argv[1] + "/scan.mha")
    reader = vtk.vtkMetaImageReader()
    reader.SetFileName(sys.argv[1] + "/scan.mha")
    reader.Update()
    read, made = reader.GetOutput(), vtk.vtkImageData()
    made.SetDimensions(6, 5, 4)
    made.SetSpacing(2, 3, 4)
    made.SetOrigin(10, 20, 30)
    made.SetDirectionMatrix(*direction)
    made.AllocateScalars(vtk.VTK_SHORT, 1)
    writer = vtk.vtkMetaImageWriter()
    writer.SetFileName(sys.argv[1] + "/made.mha")
    writer.SetInputData(made)
    writer.Write()
    truth = scan.TransformIndexToPhysicalPoint((5, 0, 0))
    by_reader, by_writer = read.GetPoint(5), sitk.ReadImage(sys.argv[1] + "/made.mha").TransformIndexToPhysicalPoint((5, 0, 0))
    print(f"{name}: the end of the first row is at {truth} in SimpleITK, at {by_reader} in VTK, at {by_writer} if VTK wrote it")
    seen.append([np.allclose(truth, by_reader), np.allclose(truth, by_writer)])
sys.exit(seen != [[True, True], [False, False]])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
