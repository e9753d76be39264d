#!/usr/bin/env bash
# SimpleITK 2.5.7: MONOCHROME1 tells how a picture is to be shown, small values bright. A CT may have it, and its stored values become
# HU by slope and intercept as ever. ITK turns the stored values over before that: each is taken from the largest that the bits can
# hold, or from -1 if they have a sign. So all HU are upside down: air of -1000 HU becomes 3047, 64487 or 999 by 12, 16 and 16 signed
# bits, and soft tissue 1050 less than that. Nothing is said. pydicom 3.0.2's rescaling and dcm2niix 1.0.20260724 give the true HU.
# Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 pydicom==3.0.2 dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

folder = sys.argv[1]
dcm2niix = os.path.join(os.path.dirname(sys.executable), "dcm2niix")
AIR, TISSUE = -1000, 50


def write(path, bits, signed):
    """Six slices of air with soft tissue in the middle."""
    intercept = 0 if signed else -1024
    stored = np.full((8, 8), AIR - intercept)
    stored[2:6, 2:6] = TISSUE - intercept
    series = generate_uid()
    for number in range(6):
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", series, "1.2.4"
        data.Modality, data.SeriesNumber, data.InstanceNumber = "CT", 1, number + 1
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-4, -4, 5 * number]
        data.PixelSpacing, data.SliceThickness = [1, 1], 5
        data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME1", 8, 8
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, bits, bits - 1, int(signed)
        data.RescaleSlope, data.RescaleIntercept = 1, intercept
        data.PixelData = stored.astype(np.int16).tobytes()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(f"{path}/{number}.dcm", enforce_file_format=True)


seen = []
for bits, signed in ((12, False), (16, False), (16, True)):
    path = f"{folder}/{bits}{signed}"
    os.mkdir(path)
    write(path, bits, signed)
    read = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(path))
    data = pydicom.dcmread(f"{path}/2.dcm")
    subprocess.run([dcm2niix, "-o", folder, "-f", f"{bits}{signed}", path], check=True, capture_output=True)
    made = nib.load(f"{path}.nii").get_fdata()
    rescaled = apply_modality_lut(data.pixel_array, data)
    values = {
        "SimpleITK": [read[0, 0, 2], read[4, 4, 2]],
        "pydicom": [int(rescaled[0, 0]), int(rescaled[4, 4])],
        "dcm2niix": [int(made[0, 0, 2]), int(made[4, 4, 2])],
    }
    for name, (air, tissue) in values.items():
        print(f"{bits} bits, {'signed' if signed else 'unsigned'}: by {name} air is {air} and soft tissue {tissue} HU")
    seen.append(list(values.values()))
true = [AIR, TISSUE]
sys.exit(seen != [[[3047, 1997], true, true], [[64487, 63437], true, true], [[999, -51], true, true]])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
