#!/usr/bin/env bash
# highdicom 0.28.2 with pydicom 3.0.2: slices of a plain axial series, given from the feet up, and their mask become a SEG;
# get_volume() of that SEG has the slices from the head down, since it always makes a right-handed volume of slices, rows and
# columns (geometry and array agree). The array is the mask upside down against that of SimpleITK for the same series and
# against what was given to Segmentation(), in the same shape: laid over the scan, Dice is 0 here, without an error. Take the
# order from the geometry (match_geometry, or the sign of its direction). Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import highdicom
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

study, series, frame = generate_uid(), generate_uid(), generate_uid()


def image(number):
    made, made.file_meta = Dataset(), FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.PatientName = made.PatientID = made.PatientBirthDate = made.PatientSex = ""
    made.StudyID = made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.Modality, made.Rows, made.Columns, made.PixelSpacing, made.SliceThickness = "CT", 8, 8, [1, 1], 2
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2 * number]
    return made


mask = np.zeros((6, 8, 8), np.uint8)
mask[:2, 2:6, 2:6] = 1
tissue = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
described = [highdicom.seg.SegmentDescription(1, "segment", tissue, tissue, "MANUAL")]
uids = highdicom.UID(), highdicom.UID()
made = highdicom.seg.Segmentation(
    [image(n) for n in range(6)], mask, "BINARY", described, uids[0], 1, uids[1], 1, "a", "b", "c", "d", omit_empty_frames=False
)
made.save_as(sys.argv[1])
volume = highdicom.seg.segread(sys.argv[1]).get_volume(combine_segments=True)
read = volume.array
dice = 2 * np.count_nonzero(read & mask) / (read.sum() + mask.sum())
first = volume.map_indices_to_reference(np.array([[0, 0, 0]]))[0, 2]
print(f"slices with mask, as given (from z = 0 up): {np.flatnonzero(mask.any(axis=(1, 2))).tolist()}")
print(f"slices with mask, get_volume(): {np.flatnonzero(read.any(axis=(1, 2))).tolist()}, its slice 0 is at z = {first:g}")
print(f"Dice of the two arrays as they are {dice:g}, of the second turned over {np.array_equal(read[::-1], mask):d}")
sys.exit(int(not (read.shape == mask.shape and dice == 0 and np.array_equal(read[::-1], mask) and first == 10)))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/seg.dcm"
