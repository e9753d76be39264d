#!/usr/bin/env bash
# VTK 9.7.2: vtkNrrdReader keeps the spacing and the numbers of the origin of an NRRD, but neither its directions, though a VTK image
# has them and vtkMetaImageReader fills them in, nor its space: one scan saved as LPS and as RAS has two places, and a scan that is
# mirrored in the file is not. And a first axis of less than ten is taken for channels, even if the file calls all axes "domain": a
# crop of 8 columns around a lesion becomes one slice of 8 channels, its rows as columns. Nothing is said. SimpleITK 2.5.7 reads all
# of them right. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q vtk==9.7.2 SimpleITK==2.5.7 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import SimpleITK as sitk
from vtkmodules.vtkIOImage import vtkNrrdReader

path = f"{sys.argv[1]}/scan.nrrd"
seen = []


def show(name, image, edit=None):
    sitk.WriteImage(image, path)
    if edit:
        with open(path, "rb") as file:
            text = edit(file.read())
        with open(path, "wb") as file:
            file.write(text)
    back = sitk.ReadImage(path)
    known = [round(value) for value in back.TransformIndexToPhysicalPoint([1, 2, 3])]
    reader = vtkNrrdReader()
    reader.SetFileName(path)
    reader.Update()
    image = reader.GetOutput()
    place = [0.0] * 3
    image.TransformIndexToPhysicalPoint([1, 2, 3], place)
    place = [round(value) for value in place]
    size, channels = image.GetDimensions(), image.GetNumberOfScalarComponents()
    print(f"{name}: SimpleITK has size {back.GetSize()} and a voxel at {known}; VTK {size}, {channels} channels, at {place}")
    seen.append((back.GetSize(), known, size, channels, place))


def as_ras(text):
    text = text.replace(b"left-posterior-superior", b"right-anterior-superior")
    return text.replace(b"(2,0,0) (0,3,0)", b"(-2,0,0) (0,-3,0)").replace(b"(10,20,30)", b"(-10,-20,30)")


scan = sitk.Image(20, 30, 40, sitk.sitkUInt8)
scan.SetSpacing((2, 3, 4))
scan.SetOrigin((10, 20, 30))
show("plain", scan)
show("the same in RAS", scan, as_ras)
show("8 columns of it", scan[:8])
scan.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
show("mirrored", scan)
whole, right = (20, 30, 40), [12, 26, 42]
sys.exit(
    seen
    != [
        (whole, right, whole, 1, right),
        (whole, right, whole, 1, [-8, -14, 42]),
        ((8, 30, 40), right, (30, 40, 1), 8, [13, 28, 33]),
        (whole, [8, 14, 42], whole, 1, right),
    ]
)
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
