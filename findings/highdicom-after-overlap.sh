#!/usr/bin/env bash
# highdicom 0.28.2 with pydicom 3.0.2: get_volume(combine_segments=True) refuses segments that overlap. Who then asks for one
# segment after the other in the same "except" block, as a fallback would, gets sqlite3.OperationalError "database table is
# locked" from the same object: the error's traceback keeps a cursor of its internal database open. After the block, or of
# an object that was read anew, the same question is answered. Ends with 1 if that changes.
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
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

study, series, frame = generate_uid(), generate_uid(), generate_uid()


def image(number):
    made, made.file_meta = Dataset(), FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.PatientName = made.PatientID = made.PatientBirthDate = made.PatientSex = ""
    made.StudyID = made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.Modality, made.Rows, made.Columns, made.PixelSpacing, made.SliceThickness = "CT", 8, 8, [1, 1], 2
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2 * number]
    return made


tissue = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
described = [highdicom.seg.SegmentDescription(n, f"segment {n}", tissue, tissue, "MANUAL") for n in (1, 2)]
masks = np.zeros((3, 8, 8, 2), np.uint8)
masks[:, 1:6, 1:6, 0] = 1
masks[:, 3:5, 3:5, 1] = 1
uids = highdicom.UID(), highdicom.UID()
made = highdicom.seg.Segmentation(
    [image(n) for n in range(3)], masks, "BINARY", described, uids[0], 1, uids[1], 1, "a", "b", "c", "d"
)
made.save_as(sys.argv[1])
read, said = highdicom.seg.segread(sys.argv[1]), []


def ask(**question):
    try:
        said.append(int(read.get_volume(**question).array.sum()))
    except Exception as error:
        said.append(type(error).__name__)
        print(question, "->", type(error).__name__, str(error)[:80])
        if "combine_segments" in question:
            ask(segment_numbers=[1])


ask(combine_segments=True)
ask(segment_numbers=[1])
print("after the block ->", said[-1], "voxels")
sys.exit(said != ["RuntimeError", "OperationalError", 75])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/two.dcm"
