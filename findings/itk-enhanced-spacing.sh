#!/usr/bin/env bash
# SimpleITK 2.5.7 on an enhanced CT (one file, many frames): where the frames are not at equal distances, here 2 mm with one
# slice left out, the spacing along z becomes 1.0, whatever the file says, and places and volumes are wrong by half, without
# the warning that a classic series gives (which is spread evenly). Frames that are stored out of order (all even slices, then
# all odd ones; the standard allows any order) come in the order of the file, also with spacing 1.0: organs are shuffled. In
# order and complete, all is right. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
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


seen = []
for name, heights in (
    ("complete, in order", [0, 2, 4, 6, 8, 10]),
    ("one slice left out", [0, 2, 4, 8, 10, 12]),
    ("even slices first", [0, 4, 8, 2, 6, 10]),
):
    voxels = np.stack([np.full((8, 8), height) for height in heights])
    enhanced_ct(sys.argv[1], voxels, heights, [1] * 6)
    image = sitk.ReadImage(sys.argv[1])
    spacing, read = image.GetSpacing()[2], (sitk.GetArrayFromImage(image)[:, 0, 0] + 1000).tolist()
    places = [image.TransformIndexToPhysicalPoint((0, 0, k))[2] for k in range(6)]
    print(f"{name}: spacing {spacing:g} mm; slices of {read} mm are put at {places} mm")
    seen.append((spacing, read == places))
sys.exit(int(seen != [(2, True), (1, False), (1, False)]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/enhanced.dcm"
