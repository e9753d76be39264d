#!/usr/bin/env bash
# dcmrtstruct2nii 5 and platipy 0.7.2, with SimpleITK 2.5.7: a structure drawn every 3 mm, put on a scan of the same patient with
# slices every 5 mm. Where two planes of it lie nearest to one slice, both readers lay the second over the first by exclusive or,
# which is meant for holes: the same outline twice is nothing. Of an organ through three slices one slice is left, without a
# word. One would guess the nearer plane, or both together. The standard's holes are outlines of one plane. Ends with 1 if that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 pydicom==2.4.4 numpy==1.26.4 scikit-image==0.24.0 termcolor==2.5.0
"$folder/venv/bin/pip" install -q --no-deps dcmrtstruct2nii==5 platipy==0.7.2
cat > "$folder/show.py" <<'PY'
import os
import sys

import numpy as np
import SimpleITK as sitk
from dcmrtstruct2nii import dcmrtstruct2nii
from platipy.dicom.io.rtstruct_to_nifti import transform_point_set_from_dicom_struct
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

folder = sys.argv[1]
study, series, place = (generate_uid() for _ in range(3))


def made(path, kind, modality):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        ExplicitVRLittleEndian,
        kind,
        generate_uid(),
    )
    file = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    file.is_little_endian, file.is_implicit_VR = True, False
    file.SOPClassUID, file.SOPInstanceUID, file.Modality = kind, meta.MediaStorageSOPInstanceUID, modality
    file.StudyInstanceUID, file.FrameOfReferenceUID, file.PatientName, file.PatientID = study, place, "made", "made"
    return file


def save_scan(count, thickness):
    os.makedirs(f"{folder}/scan")
    for k in range(count):
        file = made(f"{folder}/scan/{k}.dcm", CTImageStorage, "CT")
        file.SeriesInstanceUID, file.InstanceNumber = series, k + 1
        file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, k * thickness], [1, 0, 0, 0, 1, 0]
        file.Rows, file.Columns, file.PixelSpacing, file.SliceThickness = 20, 20, [1, 1], thickness
        file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelData = 16, 16, 15, bytes(800)
        file.save_as(f"{folder}/scan/{k}.dcm")


def save_structure(path, heights):
    file, roi, outline = made(path, RTStructureSetStorage, "RTSTRUCT"), Dataset(), Dataset()
    file.SeriesInstanceUID = generate_uid()
    roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 1, "organ", place
    outline.ReferencedROINumber, outline.ContourSequence = 1, []
    for z in heights:
        contour = Dataset()
        contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
        contour.ContourData = [4.5, 4.5, z, 14.5, 4.5, z, 14.5, 14.5, z, 4.5, 14.5, z]
        outline.ContourSequence.append(contour)
    file.StructureSetROISequence, file.ROIContourSequence = [roi], [outline]
    file.save_as(path)


def voxels_a_slice(heights):
    save_structure(f"{folder}/organ.dcm", heights)
    dcmrtstruct2nii(f"{folder}/organ.dcm", f"{folder}/scan", f"{folder}/out")
    scan, mask = (sitk.ReadImage(f"{folder}/out/{name}.nii.gz") for name in ("image", "mask_organ"))
    (other,), _ = transform_point_set_from_dicom_struct(scan, dcmread(f"{folder}/organ.dcm"))
    return [(sitk.GetArrayFromImage(image) > 0).sum(axis=(1, 2)).tolist() for image in (mask, other)]


save_scan(8, 5)
seen = []
for name, heights in (("drawn on the slices", [10, 15, 20]), ("drawn every 3 mm", [9, 12, 15, 18, 21])):
    by_dcmrtstruct2nii, by_platipy = voxels_a_slice(heights)
    print(f"{name}, at {heights} mm; voxels in each of the slices at 0, 5, ... 35 mm:")
    print(f"    dcmrtstruct2nii {by_dcmrtstruct2nii}\n    platipy         {by_platipy}")
    seen.append([np.flatnonzero(counts).tolist() for counts in (by_dcmrtstruct2nii, by_platipy)])
sys.exit(int(seen != [[[2, 3, 4]] * 2, [[3]] * 2]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder" 2>&1 | grep -v -e Zenodo -e '^ *Please cite' -e '^Thomas' -e '^ *$'
