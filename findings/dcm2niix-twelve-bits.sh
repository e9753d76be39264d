#!/usr/bin/env bash
# dcm2niix 1.0.20260724 on pixels of fewer than 16 bits in 16, of which the standard says that the others may hold anything (PS3.5 8.1.1).
# It clears them, or fills them with the sign, where 12 bits count. Of 11, 13, 14 and 15 bits it takes all 16: air of -1000 without a
# sign in the upper bits becomes 7192 or 15384, and beneath a dot of an overlay that an old scanner put there, 100 of 14 bits become
# 16484. So it is with the same slices in JPEG-LS, which keeps nothing but the bits that count. SimpleITK 2.5.7 and pydicom 3.0.2 read all
# of them right. Nothing is said. One would guess that 12 is not the only number. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q dcm2niix==1.0.20260724 SimpleITK==2.5.7 pydicom==3.0.2 pyjpegls==1.5.1 nibabel==5.4.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, generate_uid

dcm2niix = os.path.join(os.path.dirname(sys.executable), "dcm2niix")


def write(folder, value, bits, signed, upper, compress):
    """Four slices of `value`, of which `bits` bits count; `upper` stands above them."""
    series = generate_uid()
    for number in range(4):
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID, data.Modality = CTImageStorage, generate_uid(), "CT"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", series, "1.2.4"
        data.SeriesNumber, data.InstanceNumber = 1, number + 1
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
        data.PixelSpacing, data.SliceThickness = [1, 1], 3
        data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", 8, 8
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, bits, bits - 1, int(signed)
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        counted = np.full((8, 8), value & ((1 << bits) - 1))
        data.PixelData = (counted | upper << bits).astype("<u2").tobytes()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if upper:
            for tag, kind, what in (
                (0x60000010, "US", 8),
                (0x60000011, "US", 8),
                (0x60000040, "CS", "G"),
                (0x60000050, "SS", [1, 1]),
                (0x60000100, "US", 16),
                (0x60000102, "US", bits),
            ):
                data.add_new(tag, kind, what)
        if compress:
            data.compress(JPEGLSLossless)
        data.save_as(f"{folder}/{number}.dcm", enforce_file_format=True)


seen = []
CASES = [(-1000, bits, True, 0, False) for bits in (11, 12, 13, 14, 15)] + [(-1000, 14, True, 0, True)]
CASES += [(100, 12, False, 1, False), (100, 14, False, 1, False)]
for case in CASES:
    value, bits, signed, upper, compress = case
    folder = f"{sys.argv[1]}/{len(seen)}"
    os.makedirs(f"{folder}/made")
    write(folder, *case)
    subprocess.run([dcm2niix, "-o", f"{folder}/made", "-f", "x", folder], check=True, capture_output=True)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    got = {
        "dcm2niix": int(nib.load(f"{folder}/made/x.nii").get_fdata()[0, 0, 0]),
        "SimpleITK": int(sitk.ReadImage(names)[0, 0, 0]),
        "pydicom": int(pydicom.dcmread(f"{folder}/0.dcm").pixel_array[0, 0]),
    }
    what = "an overlay above" if upper else "JPEG-LS" if compress else "no sign above"
    print(f"{value} in {bits} bits, {what}: {got}")
    seen.append(got["dcm2niix"] == value)
    if not got["SimpleITK"] == got["pydicom"] == value:
        sys.exit(1)
sys.exit([case[1] == 12 for case in CASES] != seen)
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
