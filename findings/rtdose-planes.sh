#!/usr/bin/env bash
# A radiotherapy dose (RTDOSE) has its planes' heights in GridFrameOffsetVector and its unit of dose in DoseGridScaling. dcm2niix
# 1.0.20260724 heeds neither: it steps by SliceThickness, which may be empty and then is 1 mm, upwards where the planes go downwards,
# and 50 Gy are 5000 in a NIfTI without a slope; it warns of the direction only. SimpleITK 2.5.7 knows the direction, but takes the
# first step for all, where the standard lets the steps differ, and gives stored numbers too, though it rescales CT and PET by
# itself: no word of either. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q dcm2niix==1.0.20260724 SimpleITK==2.5.7 pydicom==3.0.2 nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, generate_uid

folder = Path(sys.argv[1])


def write_dose(path, offsets):
    made, made.file_meta = Dataset(), FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.Modality = RTDoseStorage, "RTDOSE"
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = (
        generate_uid() for _ in range(4)
    )
    made.PatientName = made.PatientID = "made"
    made.Manufacturer, made.InstanceNumber, made.SliceThickness = "made", 1, None
    made.Rows, made.Columns, made.PixelSpacing, made.NumberOfFrames = 6, 8, [3, 2], len(offsets)
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 100]
    made.FrameIncrementPointer, made.GridFrameOffsetVector = 0x3004000C, offsets
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.DoseUnits, made.DoseType, made.DoseSummationType, made.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.01
    voxels = np.zeros((len(offsets), 6, 8), np.uint16)
    voxels[-1, 2, 3] = 5000
    made.PixelData = voxels.tobytes()
    made.save_as(path, enforce_file_format=True)


def by_simpleitk(path):
    image = sitk.ReadImage(path)
    array = sitk.GetArrayFromImage(image)
    index = np.argwhere(array == array.max())[0][::-1]
    return image.TransformIndexToPhysicalPoint(index.tolist())[2], float(array.max())


def by_dcm2niix(path):
    command = [folder / "venv/bin/dcm2niix", "-s", "y", "-b", "n", "-z", "n", "-f", path.stem, "-o", folder, path]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    print("    " + "\n    ".join(line for line in said.stdout.splitlines() if "Warning" in line))
    image = nibabel.load(path.with_suffix(".nii"))
    array = image.get_fdata()
    index = np.argwhere(array == array.max())[0]
    return float((image.affine @ [*index, 1])[2]), float(array.max())


seen = []
for name, offsets in (("upwards", [0, 4, 8, 12]), ("downwards", [0, -4, -8, -12]), ("uneven", [0, 4, 8, 20])):
    path = folder / f"{name}.dcm"
    write_dose(path, offsets)
    print(f"{name}: the highest dose is 50 Gy at the height of {100 + offsets[-1]} mm")
    for tool in (by_simpleitk, by_dcm2niix):
        height, dose = tool(path)
        print(f"    {tool.__name__}: {dose:g} at {height:g} mm")
        seen.append((height, dose))
heights = [112, 103, 88, 103, 112, 103]
sys.exit(seen != [(height, 5000) for height in heights])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
