"""A DICOM RT structure set: outlines a slice. Source: PS3.3, A.19, C.8.8.5 and C.8.8.6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

import Med3DCore
from Med3DCore.io.dicom.image import DicomImage
from Med3DCore.io.dicom_results.origin import OF_THE_STUDY, Origin
from Med3DCore.io.dicom_results.outlines import outlines_of
from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset

_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
_SERIES_NUMBER = 301


def structure_set(labels: LabelMap, origin: Origin) -> FileDataset:
    """A label map as RTSTRUCT: closed planar contours along the edges of voxels, in the planes of the images.

    Holes stay holes in every program that fills contours: each is part of the contour around it, see
    :mod:`.outlines`. A label that was not found is a structure without contours.

    Args:
        labels: As many slices as the series has images, in their order.
        origin: The series, and what found the labels.

    Raises:
        OutputError: The series has no frame of reference.
    """
    images = origin.images
    made = _general(images[0], origin)
    made.ReferencedFrameOfReferenceSequence = [_reference(images)]
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    for value, label in enumerate(labels.labels, start=1):
        maker = origin.maker(value)
        made.StructureSetROISequence.append(
            _data_set(
                ROINumber=value,
                ReferencedFrameOfReferenceUID=images[0].FrameOfReferenceUID,
                ROIName=label.title,
                ROIGenerationAlgorithm=maker.kind,
                ROIGenerationDescription=maker.model[:64],
            )
        )
        contours = list(_contours(labels.mask(label.name), origin.series.images, images))
        made.ROIContourSequence.append(
            _data_set(
                ROIDisplayColor=list(label.colour),
                ReferencedROINumber=value,
                **({"ContourSequence": contours} if contours else {}),
            )
        )
        made.RTROIObservationsSequence.append(_observation(value, label))
    return made


def _general(image: Dataset, origin: Origin) -> FileDataset:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    now, meta = datetime.now(), FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = UID(_STORAGE), ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for keyword in OF_THE_STUDY:
        if keyword in image:
            made[keyword] = image[keyword]
    made.SOPClassUID, made.SOPInstanceUID = _STORAGE, generate_uid()
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    made.SeriesNumber = origin.series_number or _SERIES_NUMBER
    made.SeriesDescription = origin.described("Structures")
    made.InstanceNumber, made.OperatorsName = 1, ""
    made.Manufacturer, made.ManufacturerModelName = "Med3D", "Med3D for 3D Slicer"
    made.SoftwareVersions = [Med3DCore.__version__, origin.model[:64]]
    made.DeviceSerialNumber = origin.digest[:16] or "0"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = image.FrameOfReferenceUID, ""
    made.StructureSetLabel, made.StructureSetName = "Med3D", origin.model[:64]
    made.InstanceCreationDate = made.StructureSetDate = made.SeriesDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.StructureSetTime = made.SeriesTime = now.strftime("%H%M%S")
    made.ApprovalStatus = "UNAPPROVED"
    return made


def _reference(images: Sequence[Dataset]) -> Dataset:
    series = _data_set(
        SeriesInstanceUID=images[0].SeriesInstanceUID,
        ContourImageSequence=[_pointer(image) for image in images],
    )
    study = _data_set(
        ReferencedSOPClassUID=_STUDY_CLASS,
        ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _data_set(FrameOfReferenceUID=images[0].FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _pointer(image: Dataset, frame: int | None = None) -> Dataset:
    pointer = _data_set(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    if frame is not None:
        pointer.ReferencedFrameNumber = frame + 1
    return pointer


def _contours(mask: np.ndarray, places: Sequence[DicomImage], images: Sequence[Dataset]) -> Iterator[Dataset]:
    several_frames = len(images) < len(places)
    files = dict(zip(dict.fromkeys(place.path for place in places), images, strict=True))
    for plane, place in zip(mask, places, strict=True):
        pointer = _pointer(files[place.path], place.frame if several_frames else None)
        for outline in outlines_of(plane):
            points = _in_the_patient(outline, place)
            contour = _data_set(
                ContourImageSequence=[pointer],
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
            )
            _add_decimals(contour, 0x30060050, points)
            yield contour


def _in_the_patient(outline: np.ndarray, place: DicomImage) -> np.ndarray:
    """Corners in voxels of an image, in LPS mm, by the image's own place."""
    return np.asarray(place.position) + (outline * place.spacing) @ np.asarray(place.axes)


def _add_decimals(contour: Dataset, tag: int, values: np.ndarray) -> None:
    """Decimal strings as they are stored: a million of them one by one takes pydicom minutes."""
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    text = "\\".join(np.char.mod("%.4f", values.ravel())).encode()
    text += b" " * (len(text) % 2)
    contour[tag] = RawDataElement(Tag(tag), "DS", len(text), text, 0, False, True)


def _observation(number: int, label: Label) -> Dataset:
    code = _coded(label.type)
    if label.modifier is not None:
        code.SegmentedPropertyTypeModifierCodeSequence = [_coded(label.modifier)]
    return _data_set(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIIdentificationCodeSequence=[code],
        RTROIInterpretedType="ORGAN",
        ROIInterpreter="",
    )


def _coded(code: tuple[str, str, str]) -> Dataset:
    return _data_set(CodingSchemeDesignator=code[0], CodeValue=code[1], CodeMeaning=code[2])


def _data_set(**values: object) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
