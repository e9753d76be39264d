#!/usr/bin/env bash
# highdicom 0.28.2 with pydicom 3.0.2: a CT of 12 bits in 16. The standard says of the four others that no reader may rely on their
# being zero or a sign (PS3.5 8.1.1); older scanners left a sign out and put overlays there. pydicom and SimpleITK 2.5.7 pass over
# them. highdicom's Image, of get_frame(), get_frames() and get_volume() alike, takes BitsAllocated for BitsStored: air of -1000 HU is
# 3096, bone-bright, and an overlay's dot of 24 HU is 4120. Once its pixel_array was looked at, the same object gives the right
# values, and so does get_volume_from_series(). Nothing is said. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q highdicom==0.28.2 pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write(path, words, signed, intercept):
    """One slice of CT whose 16-bit words are stored as they are, of which 12 bits count."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_ = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    slice_.StudyInstanceUID, slice_.SeriesInstanceUID = generate_uid(), generate_uid()
    slice_.FrameOfReferenceUID, slice_.PositionReferenceIndicator = generate_uid(), ""
    slice_.PatientName = slice_.PatientID = slice_.PatientBirthDate = slice_.PatientSex = ""
    slice_.StudyID = slice_.StudyDate = slice_.StudyTime = slice_.AccessionNumber = slice_.ReferringPhysicianName = ""
    slice_.Modality, slice_.SeriesNumber, slice_.InstanceNumber = "CT", 1, 1
    slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    slice_.PixelSpacing, slice_.SliceThickness = [1, 1], 3
    slice_.Rows, slice_.Columns = words.shape
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 12, 11, signed
    slice_.RescaleSlope, slice_.RescaleIntercept = 1, intercept
    if not signed:
        slice_.add_new(0x60000010, "US", words.shape[0])
        slice_.add_new(0x60000011, "US", words.shape[1])
        slice_.add_new(0x60000040, "CS", "G")
        slice_.add_new(0x60000050, "SS", [1, 1])
        slice_.add_new(0x60000100, "US", 16)
        slice_.add_new(0x60000102, "US", 12)
    slice_.PixelData = words.astype("<u2").tobytes()
    slice_.save_as(path, enforce_file_format=True)


def readings(path):
    """The first pixel of a file by each way to read it."""
    plain, image = pydicom.dcmread(path), highdicom.imread(path)
    found = {
        "pydicom": pydicom.pixels.apply_rescale(plain.pixel_array, plain)[0, 0],
        "SimpleITK": sitk.GetArrayFromImage(sitk.ReadImage(path))[0, 0, 0],
        "highdicom, get_frame()": image.get_frame(1)[0, 0],
        "highdicom, get_volume()": highdicom.imread(path).get_volume().array[0, 0, 0],
    }
    image.pixel_array  # looking at it decodes anew, by pydicom
    found["highdicom, get_frame() after pixel_array"] = image.get_frame(1)[0, 0]
    return {name: float(value) for name, value in found.items()}


folder = sys.argv[1]
seen = []
air = np.full((8, 8), -1000) & 0xFFF
dot = np.full((8, 8), 1048)
dot[0, 0] |= 1 << 12
for what, words, signed, intercept in (("air, no sign in the upper bits", air, 1, 0), ("an overlay's dot", dot, 0, -1024)):
    write(f"{folder}/slice.dcm", words, signed, intercept)
    print(what)
    for name, value in readings(f"{folder}/slice.dcm").items():
        print(f"    {name}: {value:g} HU")
        seen.append(value)
sys.exit(seen != [-1000, -1000, 3096, 3096, -1000, 24, 24, 4120, 4120, 24])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
