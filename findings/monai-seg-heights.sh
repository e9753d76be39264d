#!/usr/bin/env bash
# MONAI 1.6.1 with pydicom 3.0.2: reading DICOM SEG, PydicomReader (of its own accord for such a file, too) stacks the frames of
# each segment from slice 0 on and never asks at which height they lie. Empty frames are left out by nearly all writers, so two
# organs at different heights of a body come out beside each other in the same slices, in an array of fewer slices than the
# scan's, whose affine goes from the first frame of the one to the last of the other, and nothing is said. Made and read back
# right by highdicom 0.28.2. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6 pydicom==3.0.2 highdicom==0.28.2
cat > "$folder/show.py" <<'PY'
import logging
import sys
import warnings

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from monai.transforms import LoadImage  # noqa: E402

study, series, place = (generate_uid() for _ in range(3))
slices = []
for k in range(10):
    made, made.file_meta = Dataset(), FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = CTImageStorage, generate_uid(), "CT"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, place
    made.PatientName, made.PatientID, made.InstanceNumber = "made^", "made", k + 1
    made.PatientBirthDate = made.PatientSex = made.AccessionNumber = made.StudyID = made.StudyDate = made.StudyTime = ""
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 2 * k], [1, 0, 0, 0, 1, 0]
    made.Rows, made.Columns, made.PixelSpacing, made.SliceThickness = 8, 8, [1, 1], 2
    made.BitsAllocated, made.SamplesPerPixel, made.PhotometricInterpretation = 16, 1, "MONOCHROME2"
    slices.append(made)

masks = np.zeros((10, 8, 8, 2), np.uint8)
masks[1:4, 2:6, 2:6, 0] = 1
masks[6:9, 2:6, 2:6, 1] = 1
manual = hd.seg.SegmentAlgorithmTypeValues.MANUAL
segments = [
    hd.seg.SegmentDescription(number, name, codes.SCT.Organ, code, manual)
    for number, name, code in ((1, "liver", codes.SCT.Liver), (2, "heart", codes.SCT.Heart))
]
binary = hd.seg.SegmentationTypeValues.BINARY
hd.seg.Segmentation(
    slices, masks, binary, segments, generate_uid(), 1, generate_uid(), 1, "made", "made", "1", "1"
).save_as(sys.argv[1])

by_highdicom = {}
for frame in hd.seg.segread(sys.argv[1]).PerFrameFunctionalGroupsSequence:
    number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    by_highdicom.setdefault(number, []).append(float(frame.PlanePositionSequence[0].ImagePositionPatient[2]))
read = LoadImage()(sys.argv[1])
heights = (read.affine.numpy() @ np.array([[0, 0, k, 1] for k in range(read.shape[2])]).T)[2]
print(f"the scan has 10 slices, MONAI's array {read.shape[2]}")
by_monai = {}
for number in (1, 2):
    by_monai[number] = heights[np.flatnonzero(read[..., number - 1].numpy().any(axis=(0, 1)))].tolist()
    print(f"segment {number} lies at {sorted(by_highdicom[number])} mm, in MONAI at {by_monai[number]} mm")
right = {1: [2, 4, 6], 2: [12, 14, 16]}
sys.exit(int({key: sorted(value) for key, value in by_highdicom.items()} != right or by_monai[1] != by_monai[2]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/seg.dcm"
