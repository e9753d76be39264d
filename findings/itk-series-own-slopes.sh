#!/usr/bin/env bash
# SimpleITK 2.5.7: a DICOM series whose slices have their own RescaleSlope, as in PET. The type of the whole volume is decided
# by the first slice. Is that one's slope a whole number (here an empty first slice with slope 1), all others lose what is
# behind the point: uptakes of 0.4 to 3.4 become 0 to 3, without a warning. Read with an output type that is asked for
# (float), they are right, and so is pydicom slice by slice. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid

study, series, frame = generate_uid(), generate_uid(), generate_uid()
slopes = [1, 0.0004, 0.0009, 0.0019, 0.0024, 0.0034]
for number, slope in enumerate(slopes):
    made, made.file_meta = pydicom.Dataset(), pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = PositronEmissionTomographyImageStorage, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.PatientName = made.PatientID = "made"
    made.Modality, made.ImageType, made.InstanceNumber = "PT", ["ORIGINAL", "PRIMARY"], number + 1
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 3 * number], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness, made.Units = [2, 2], 3, "GML"
    made.Rows = made.Columns = 8
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.RescaleSlope, made.RescaleIntercept = slope, 0
    made.PixelData = np.full((8, 8), 0 if number == 0 else 1000, "<u2").tobytes()
    made.save_as(Path(sys.argv[1]) / f"{number}.dcm", enforce_file_format=True)

names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(sys.argv[1])
image = sitk.ReadImage(names)
read = sitk.GetArrayFromImage(image)[:, 0, 0].tolist()
asked = sitk.GetArrayFromImage(sitk.ReadImage(names, sitk.sitkFloat32))[:, 0, 0].round(3).tolist()
slices = [pydicom.dcmread(name) for name in names]
right = [round(float(pydicom.pixels.apply_rescale(s.pixel_array, s)[0, 0]), 3) for s in slices]
print("pydicom:", right)
print("SimpleITK:", read, image.GetPixelIDTypeAsString())
print("SimpleITK, 32-bit float asked for:", asked)
sys.exit(int(not (right == [0, 0.4, 0.9, 1.9, 2.4, 3.4] and read == [0, 0, 0, 1, 2, 3])))
PY
"$folder/venv/bin/python" "$folder/show.py" "$(mktemp -d -p "$folder")"
