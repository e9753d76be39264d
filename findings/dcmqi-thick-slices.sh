#!/usr/bin/env bash
# A DICOM SEG tells the place of each of its frames, and may tell how far they are apart (SpacingBetweenSlices). highdicom 0.22.0 does
# not. dcmqi 1.5.7, by which 3D Slicer reads a SEG, then takes SliceThickness for it, though it has just reckoned the distance from the
# places, and pydicom-seg 0.4.1 does the same. Slices of 5 mm every 3 mm are common in CT: frames fall upon each other and the last one
# stays: here two of five slices of an organ are lost; of slices of 1 mm every 3 mm, two empty ones come between. pydicom-seg says
# nothing, dcmqi writes "using it!" on the console. Newer highdicom tells the distance, but not of a series that is uneven or lacks a
# slice (0.28.2). Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q highdicom==0.22.0 pydicom-seg==0.4.1 dcmqi==1.5.7 pydicom==2.4.5 numpy==1.26.4 SimpleITK==2.5.7
cat > "$folder/show.py" <<'PY'
import os
import subprocess
import sys

import numpy as np
import pydicom_seg
import SimpleITK as sitk
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

folder = sys.argv[1]
segimage2itkimage = os.path.join(os.path.dirname(sys.executable), "segimage2itkimage")


def scan(thickness):
    """The headers of nine slices, 3 mm apart."""
    slices, series = [], generate_uid()
    for number in range(9):
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID, data.InstanceNumber = CTImageStorage, generate_uid(), number + 1
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", series, "1.2.4"
        data.PatientID = data.PatientName = data.PatientBirthDate = data.PatientSex = data.AccessionNumber = ""
        data.StudyID = data.StudyDate = data.StudyTime = data.Manufacturer = data.PositionReferenceIndicator = ""
        data.Modality, data.SeriesNumber, data.Rows, data.Columns = "CT", 1, 16, 16
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
        data.PixelSpacing, data.SliceThickness = [1, 1], thickness
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.is_little_endian, data.is_implicit_VR = True, False
        slices.append(data)
    return slices


def slices_of(image):
    """Height in mm and voxels of each slice that holds something."""
    counts = np.count_nonzero(sitk.GetArrayFromImage(image), axis=(1, 2))
    return {round(image.GetOrigin()[2] + image.GetSpacing()[2] * z): int(counts[z]) for z in np.flatnonzero(counts)}


organ = np.zeros((9, 16, 16), np.uint8)
for number in range(2, 7):
    organ[number, 4:12, 4 : 6 + number] = 1  # each slice has another size
true = {3 * number: int(np.count_nonzero(organ[number])) for number in range(2, 7)}
print(f"the organ: {true}")
seen = {}
for thickness in (3, 5, 1):
    made = Segmentation(
        source_images=scan(thickness),
        pixel_array=organ,
        segmentation_type="BINARY",
        segment_descriptions=[SegmentDescription(1, "Liver", codes.SCT.Organ, codes.SCT.Liver, "MANUAL")],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )
    path = f"{folder}/{thickness}.dcm"
    made.save_as(path, write_like_original=False)
    frames = made.PerFrameFunctionalGroupsSequence
    assert [frame.PlanePositionSequence[0].ImagePositionPatient[2] for frame in frames] == list(true)  # told in the file
    command = [segimage2itkimage, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd", "-p", str(thickness)]
    subprocess.run(command, check=True, capture_output=True)
    seen[thickness] = (
        slices_of(sitk.ReadImage(f"{folder}/{thickness}-1.nrrd")),
        slices_of(pydicom_seg.SegmentReader().read(made).segment_image(1)),
    )
    for name, found in zip(("dcmqi", "pydicom-seg"), seen[thickness], strict=True):
        print(f"slices of {thickness} mm by {name}: {found}, in all {sum(found.values())} of {sum(true.values())} voxels")
right = seen[3] == (true, true)
lost = all(len(found) == 3 and sum(found.values()) < 0.7 * sum(true.values()) for found in seen[5])
gaps = seen[1][0] == true and sitk.ReadImage(f"{folder}/1-1.nrrd").GetSize()[2] == 13
sys.exit(not (right and lost and gaps))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder"
