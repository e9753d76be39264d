"""A CT series as a scanner stores it, with all that DICOM asks of it, in any position of the patient."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from Med3DCore.geometry import Geometry

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
PATIENT = {"PatientName": "Doe^Jane", "PatientID": "P7", "PatientBirthDate": "19500101", "PatientSex": "F"}


def write_ct_series(
    folder: Path,
    hu: np.ndarray,
    geometry: Geometry,
    seed: str = "a",
    aside: tuple[float, float] = (0.0, 0.0),
    **changes: object,
) -> None:
    """Write a CT.

    Args:
        folder: Made if it is missing.
        hu: ``[z, y, x]`` whole numbers.
        geometry: Where it lies.
        seed: Gives the UIDs; the same seed the same study.
        aside: mm along rows and columns from each slice to the next, as of a tilted gantry.
        changes: Elements of all slices by keyword; None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = geometry.direction_matrix
    series = generate_uid(entropy_srcs=[seed, "series"])
    for number, plane in enumerate(hu):
        uid, meta = generate_uid(entropy_srcs=[seed, str(number)]), FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT, uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_ = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        place = np.asarray(geometry.origin) + number * matrix @ (*aside, geometry.spacing[2])
        elements = {
            **PATIENT,
            "SOPClassUID": CT,
            "SOPInstanceUID": uid,
            "StudyInstanceUID": generate_uid(entropy_srcs=[seed, "study"]),
            "SeriesInstanceUID": series,
            "FrameOfReferenceUID": generate_uid(entropy_srcs=[seed, "frame"]),
            "PositionReferenceIndicator": "",
            "StudyDate": "20260101",
            "StudyTime": "101112",
            "StudyID": "1",
            "AccessionNumber": "A1",
            "ReferringPhysicianName": "Roe^Richard",
            "Modality": "CT",
            "Manufacturer": "Test",
            "SeriesNumber": 3,
            "SeriesDescription": "Abdomen",
            "InstanceNumber": number + 1,
            "AcquisitionNumber": 1,
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "PatientPosition": "HFS",
            "KVP": "120",
            "ImagePositionPatient": [f"{value:.9g}" for value in place],
            "ImageOrientationPatient": [f"{value:.10f}"[:16] for value in matrix[:, :2].T.ravel()],
            "PixelSpacing": [geometry.spacing[1], geometry.spacing[0]],
            "SliceThickness": geometry.spacing[2],
            "Rows": plane.shape[0],
            "Columns": plane.shape[1],
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "RescaleIntercept": "0",
            "RescaleSlope": "1",
            "RescaleType": "HU",
        } | changes
        for keyword, value in elements.items():
            if value is not None:
                setattr(slice_, keyword, value)
        slice_.PixelData = plane.astype("<i2").tobytes()
        slice_.save_as(folder / f"im{number + 1:03d}.dcm", enforce_file_format=True)


def write_enhanced_ct(path: Path, hu: np.ndarray, geometry: Geometry, order: Sequence[int] | None = None) -> None:
    """Write a CT into one file of many frames (PS3.3, A.38).

    Args:
        path: The file; its folder is made.
        hu: ``[z, y, x]`` whole numbers.
        geometry: Where it lies.
        order: Which slice each frame is; by default the slices from the first to the last.
    """
    order = range(len(hu)) if order is None else order
    write_ct_series(path.parent / "slices", hu[:1], geometry, PixelSpacing=None, ImagePositionPatient=None)
    made = dcmread(path.parent / "slices" / "im001.dcm")
    shutil.rmtree(path.parent / "slices")
    for keyword in ("ImageOrientationPatient", "SliceThickness", "RescaleIntercept", "RescaleSlope", "RescaleType"):
        del made[keyword]
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    matrix = geometry.direction_matrix
    axes = [f"{value:.10f}"[:16] for value in matrix[:, :2].T.ravel()]
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=axes)]
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=[geometry.spacing[1], geometry.spacing[0]], SliceThickness=geometry.spacing[2])
    ]
    shared.PixelValueTransformationSequence = [_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="HU")]
    made.SharedFunctionalGroupsSequence, frames = [shared], []
    for z in order:
        place = np.asarray(geometry.origin) + z * geometry.spacing[2] * matrix[:, 2]
        frame = Dataset()
        frame.PlanePositionSequence = [_item(ImagePositionPatient=[f"{value:.9g}" for value in place])]
        frame.FrameContentSequence = [_item(FrameAcquisitionNumber=1, DimensionIndexValues=[z + 1])]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence, made.NumberOfFrames = frames, len(frames)
    made.PixelData = hu[list(order)].astype("<i2").tobytes()
    made.save_as(path, enforce_file_format=True)


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
