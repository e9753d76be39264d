#!/usr/bin/env bash
# dicompyler-core 0.5.6, which makes dose-volume histograms, and the planes of organs and doses. All planes of an organ are taken to be
# as thick as the least distance between two of them: add one outline 1 mm above a liver that is drawn every 4 mm, and all its volumes
# shrink to a quarter. And the standard lets GridFrameOffsetVector count from the first plane on, or give the patient's own heights,
# told by its first number (C.8.8.3.2: 0, or the plane's place). The latter are added to that place once more: here the dose lies 60 mm
# too low and the mean is 20 Gy off. Nothing is said of either. SimpleITK 2.5.7 has both doses at one place. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q dicompyler-core==0.5.6 pydicom==2.4.5 SimpleITK==2.5.7 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import SimpleITK as sitk
from dicompylercore.dvhcalc import get_dvh
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTStructureSetStorage, generate_uid

folder = sys.argv[1]


def start(kind, modality):
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = kind, generate_uid(), modality
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", generate_uid(), "1.2.4"
    data.is_little_endian, data.is_implicit_VR, data.file_meta = True, False, FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data


def write_organ(heights):
    """A square of 20 mm in each of the planes."""
    data = start(RTStructureSetStorage, "RTSTRUCT")
    roi, drawn, observed = Dataset(), Dataset(), Dataset()
    roi.ROINumber = drawn.ReferencedROINumber = observed.ReferencedROINumber = observed.ObservationNumber = 1
    roi.ROIName, observed.RTROIInterpretedType, drawn.ROIDisplayColor = "liver", "ORGAN", [255, 0, 0]
    drawn.ContourSequence = []
    for height in heights:
        outline = Dataset()
        outline.ContourGeometricType, outline.NumberOfContourPoints = "CLOSED_PLANAR", 4
        outline.ContourData = [-10, -10, height, 10, -10, height, 10, 10, height, -10, 10, height]
        drawn.ContourSequence.append(outline)
    data.StructureSetROISequence, data.ROIContourSequence, data.RTROIObservationsSequence = [roi], [drawn], [observed]
    data.save_as(f"{folder}/organ.dcm", write_like_original=False)


def write_dose(first):
    """40 Gy at height 0, a third of a Gy more with each millimetre up, in planes every 4 mm from -60 mm on."""
    data = start(RTDoseStorage, "RTDOSE")
    heights = np.arange(-60, 200, 4)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", 41, 41
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 32, 32, 31, 0
    data.NumberOfFrames, data.FrameIncrementPointer = len(heights), 0x3004000C
    data.PixelSpacing, data.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient, data.GridFrameOffsetVector = [-20, -20, -60], (heights - heights[0] + first).tolist()
    data.DoseUnits, data.DoseType, data.DoseSummationType, data.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.001
    gray = np.broadcast_to((40 + heights / 3)[:, None, None], (len(heights), 41, 41))
    data.PixelData = np.round(gray / 0.001).astype(np.uint32).tobytes()
    data.save_as(f"{folder}/dose.dcm", write_like_original=False)
    image = sitk.ReadImage(f"{folder}/dose.dcm")
    return image.GetOrigin()[2], image.GetSpacing()[2]


def show(name):
    histogram = get_dvh(f"{folder}/organ.dcm", f"{folder}/dose.dcm", 1)
    print(f"{name}: {histogram.volume:.1f} mL, {histogram.mean:.1f} Gy on average")
    return round(float(histogram.volume), 1), round(float(histogram.mean), 1)


planes = list(range(-16, 17, 4))
places = [write_dose(first=0)]
write_organ(planes)
seen = [show("nine planes every 4 mm")]
write_organ([*planes, 17])
seen.append(show("one more plane, 1 mm above them"))
write_organ(planes)
places.append(write_dose(first=-60))
seen.append(show("nine planes, the heights of the dose are the patient's"))
print("SimpleITK has the first plane of the two doses, and the step, at", *places)
volumes = [volume for volume, _ in seen]
right = places == [(-60, 4)] * 2 and abs(volumes[0] - 14.4) < 1.5 and seen[0][1] == 40
sys.exit(not (right and volumes[1] < 0.3 * volumes[0] and abs(seen[2][1] - 60) < 0.1))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
