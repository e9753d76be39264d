#!/usr/bin/env bash
# antspyx 0.6.3: ants.dicom_read() stacks the slices of a series as the folder happens to list them, by no name, number or height:
# the organs of a CT are cut up and shuffled. The slices are 1 mm apart, whatever the heights or SliceThickness say, the place is that
# of the file that is listed first, and what does not end in ".dcm" is left out. Nothing is said. Its reference tells of the origin only.
# One would guess the order and spacing of SimpleITK 2.5.7, whose library it is built on. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q antspyx==0.6.3 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.3.5
cat > "$folder/show.py" <<'PY'
import os
import sys

import ants
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

folder = sys.argv[1] + "/series"
os.mkdir(folder)
series = generate_uid()
for number in range(12):  # the slice of number k is full of k, and lies 5 k mm up
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", series, "1.2.4"
    data.Modality, data.SeriesNumber, data.InstanceNumber = "CT", 1, number + 1
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-4, -4, 5 * number]
    data.PixelSpacing, data.SliceThickness = [1, 1], 5
    data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", 8, 8
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = np.full((8, 8), number, np.int16).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(f"{folder}/{data.SOPInstanceUID}.dcm", enforce_file_format=True)

listed = []
for name in os.listdir(folder):
    listed.append(round(sitk.ReadImage(f"{folder}/{name}").GetOrigin()[2] / 5))
read = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
known = sitk.GetArrayFromImage(read)[:, 0, 0].tolist()
image = ants.dicom_read(folder)
found = image.numpy()[0, 0].astype(int).tolist()
print(f"the folder lists    {listed}")
print(f"SimpleITK has from below {known}, {read.GetSpacing()[2]:g} mm apart from {read.GetOrigin()[2]:g} on")
print(f"ants has from below {found}, {image.spacing[2]:g} mm apart from {image.origin[2]:g} on")
right = known == list(range(12)) and read.GetSpacing()[2] == 5
sys.exit(not (right and found == listed != known and image.spacing[2] == 1 and image.origin[2] == 5 * listed[0]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
