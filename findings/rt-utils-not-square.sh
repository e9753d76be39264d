#!/usr/bin/env bash
# rt-utils 1.2.7, where something is not square. Pixels: it multiplies a row's direction by the distance of the rows, and the
# other way around, so on pixels of 2 mm by 1 mm an outline is written twice as wide and half as high as its mask; only rt-utils
# reads it back right. Pictures: it makes the array for a mask with columns first, but paints it with rows first, so of a
# structure in 24 rows of 40 columns it gives back only what lies in the first 24 columns, in an array of 40 rows. No word of
# either. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rt-utils==1.2.7 pydicom==2.4.4 numpy==1.26.4 opencv-python-headless==4.10.0.84
cat > "$folder/show.py" <<'PY'
import os
import sys

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rt_utils import RTStructBuilder


def save_scan(folder, rows, columns, spacing):
    os.makedirs(folder)
    study, series, place = (generate_uid() for _ in range(3))
    for k in range(3):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        file = FileDataset(f"{folder}/{k}.dcm", {}, file_meta=meta, preamble=bytes(128))
        file.is_little_endian, file.is_implicit_VR = True, False
        file.SOPClassUID, file.SOPInstanceUID, file.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = study, series, place
        file.PatientName, file.PatientID, file.InstanceNumber = "made", "made", k + 1
        file.StudyDate = file.StudyTime = file.StudyID = file.PatientSex = file.PatientBirthDate = ""
        file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, 3 * k], [1, 0, 0, 0, 1, 0]
        file.Rows, file.Columns, file.PixelSpacing, file.SliceThickness = rows, columns, spacing, 3
        file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.PixelData = bytes(2 * rows * columns)
        file.save_as(file.filename)
    return folder


def drawn(folder, mask):
    structures = RTStructBuilder.create_new(folder)
    structures.add_roi(mask, name="organ")
    return structures


mask = np.zeros((32, 32, 3), bool)
mask[10:20, 4:8, 1] = True
structures = drawn(save_scan(f"{sys.argv[1]}/pixels", 32, 32, [2, 1]), mask)
points = np.array(structures.ds.ROIContourSequence[0].ContourSequence[0].ContourData, float).reshape(-1, 3)
x, y = ((points[:, axis].min(), points[:, axis].max()) for axis in (0, 1))
print("rows 2 mm apart, columns 1 mm apart; marked are rows 10 to 19 (y 20 to 38 mm) and columns 4 to 7 (x 4 to 7 mm)")
print(f"    written: y {y[0]:g} to {y[1]:g} mm, x {x[0]:g} to {x[1]:g} mm")

mask = np.zeros((24, 40, 3), bool)
mask[4:20, 4:36, 1] = True
back = drawn(save_scan(f"{sys.argv[1]}/picture", 24, 40, [1, 1]), mask).get_roi_mask_by_name("organ")
print(f"24 rows, 40 columns: {mask.sum()} voxels in, {back.sum()} out; shape {mask.shape} in, {back.shape} out")
sys.exit((y, x, int(back.sum()), back.shape) != ((10, 19), (8, 14), 16 * 20, (40, 24, 3)))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
