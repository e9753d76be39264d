#!/usr/bin/env bash
# An enhanced CT, MR or PET (one file, many frames) may give each frame a rescale slope of its own. SimpleITK 2.5.7 takes the
# first frame's for all frames. pydicom 3.0.2's apply_modality_lut, which rescales classic slices, looks at the top of the
# data set only, finds nothing there and returns stored values, here 1000 too high, as if they were HU. Neither says so.
# highdicom 0.28.2 rescales each frame. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q highdicom==0.28.2 SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


def enhanced_ct(path, voxels, heights, slopes):
    made, made.file_meta = Dataset(), FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    made.PatientName = made.PatientID = "made"
    made.Modality, made.ImageType, made.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], 1
    made.NumberOfFrames, made.Rows, made.Columns = voxels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 1
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 2
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [shared], []
    for number, (height, slope) in enumerate(zip(heights, slopes, strict=True)):
        frame, place, content, values = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, height]
        content.StackID, content.InStackPositionNumber = "1", sorted(heights).index(height) + 1
        content.DimensionIndexValues = [1, content.InStackPositionNumber]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, -1000, "HU"
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frame.PixelValueTransformationSequence = [values]
        made.PerFrameFunctionalGroupsSequence.append(frame)
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid()
    made.DimensionOrganizationSequence, made.DimensionIndexSequence = [organization], []
    for pointer in (0x00209056, 0x00209057):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, 0x00209111
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        made.DimensionIndexSequence.append(index)
    made.PixelData = voxels.astype("<i2").tobytes()
    made.save_as(path, enforce_file_format=True)


enhanced_ct(sys.argv[1], np.full((4, 8, 8), 600), [0, 2, 4, 6], [1, 2, 3, 4])
read = pydicom.dcmread(sys.argv[1])
values = {
    "highdicom": highdicom.imread(sys.argv[1]).get_frames()[:, 0, 0],
    "SimpleITK": sitk.GetArrayFromImage(sitk.ReadImage(sys.argv[1]))[:, 0, 0],
    "pydicom": pydicom.pixels.apply_modality_lut(read.pixel_array, read)[:, 0, 0],
}
for name, array in values.items():
    print(f"{name}: frames of {array.tolist()} HU")
expected = [-400, 200, 800, 1400], [-400] * 4, [600] * 4
sys.exit(int([a.tolist() for a in values.values()] != list(expected)))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/enhanced.dcm"
