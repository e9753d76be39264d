#!/usr/bin/env bash
# VTK 9.7.2: vtkExtractVOI crops an image whose direction is not the identity (each DICOM that is turned from LPS to RAS has one)
# to the right voxels, but the crop lies elsewhere: its origin is moved, here by 98 and 99 mm, though its extent keeps the indices
# of before and needs no move. vtkImageClip crops the same without a move, and so does vtkExtractVOI where the direction is the
# identity or where it takes each second voxel of the whole. Nothing is said. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q vtk==9.7.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def scan(direction):
    voxels = np.zeros((6, 8, 10), np.uint8)
    voxels[2, 4, 6] = 1
    image = vtk.vtkImageData()
    image.SetDimensions(10, 8, 6)
    image.SetSpacing(2, 3, 4)
    image.SetOrigin(10, 20, 30)
    image.SetDirectionMatrix(*direction)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    return image


def place_of_the_voxel(image):
    return image.GetPoint(int(vtk_to_numpy(image.GetPointData().GetScalars()).argmax()))


def crop(name, image):
    clip = getattr(vtk, name)()
    clip.SetInputData(image)
    if name == "vtkExtractVOI":
        clip.SetVOI(2, 8, 2, 6, 1, 4)
    else:
        clip.SetOutputWholeExtent(2, 8, 2, 6, 1, 4)
        clip.ClipDataOn()
    clip.Update()
    return place_of_the_voxel(clip.GetOutput())


seen = []
for title, direction in (("identity", [1, 0, 0, 0, 1, 0, 0, 0, 1]), ("LPS in RAS", [-1, 0, 0, 0, -1, 0, 0, 0, 1])):
    image = scan(direction)
    places = [place_of_the_voxel(image), crop("vtkImageClip", image), crop("vtkExtractVOI", image)]
    print(f"{title}: the voxel is at {places[0]}, after vtkImageClip at {places[1]}, after vtkExtractVOI at {places[2]}")
    seen.append([np.allclose(places[0], place) for place in places[1:]])
sys.exit(seen != [[True, True], [True, False]])
PY
"$folder/venv/bin/python" "$folder/show.py"
