"""A DICOM SEG object, made by highdicom. Source: PS3.3, A.51 and C.8.20."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

import Med3DCore
from Med3DCore.errors import OutputError
from Med3DCore.io.dicom_results.origin import OF_THE_STUDY, Origin
from Med3DCore.labels import Code, Label
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset

_SERIES_NUMBER = 300  # of results; scanners' own are smaller
_OF_PEOPLE = {
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "ConsultingPhysicianName",
    "ConsultingPhysicianIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "ReasonForVisit",
    "ReferringPhysicianIdentificationSequence",
    "RequestingService",
    "StudyDescription",
}


def segmentation_object(labels: LabelMap, origin: Origin) -> Segmentation:
    """A label map as SEG; only frames that hold something are stored.

    Args:
        labels: As many slices as the series has images, in their order.
        origin: The series, and what found the labels.

    Raises:
        OutputError: The series lacks what a SEG needs, or labels overlap, for which a label map has no place.
    """
    import highdicom
    from highdicom.seg import Segmentation
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    logging.getLogger("highdicom").setLevel(logging.ERROR)
    images = origin.images
    if origin.labelmap and labels.overlaps:
        raise OutputError("Labels overlap, for which a DICOM label map has no place; write a SEG of one bit a voxel.")
    frames = _one_by_one(labels) if labels.overlaps else labels.array
    if images[0].get("NumberOfFrames", 1) > 1:
        frames = _by_frame(frames, images, origin)
    try:
        made = Segmentation(
            source_images=images,
            pixel_array=frames,
            segmentation_type="LABELMAP" if origin.labelmap else "BINARY",
            segment_descriptions=[_described(label, value, origin) for value, label in enumerate(labels.labels, 1)],
            series_instance_uid=highdicom.UID(),
            series_number=origin.series_number or _SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="Med3D",
            manufacturer_model_name="Med3D for 3D Slicer",
            software_versions=Med3DCore.__version__,
            device_serial_number=origin.digest[:16] or "0",
            content_label="SEGMENTATION",
            content_description=f"Segmentation by {origin.model}"[:64],
            series_description=origin.described("Segmentation"),
            omit_empty_frames=bool(frames.any()),
            transfer_syntax_uid=RLELossless if origin.labelmap else ExplicitVRLittleEndian,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise OutputError(
            f"A DICOM SEG of {origin.series.name} cannot be made, since its headers lack something ({error}); write "
            ".seg.nrrd instead."
        ) from None
    _forget_the_rest(made)
    _tell_distance(made, labels.geometry.spacing[2])
    made.ContentCreatorName = ""  # nobody; type 2 (PS3.3, table 10-12), which highdicom leaves out
    return made


def _forget_the_rest(made: Dataset) -> None:
    """Take out what highdicom copies of patient and study (PS3.3, C.7.1, C.7.2) beyond what they are known by."""
    for element in list(made):
        if (element.tag.group == 0x0010 or element.keyword in _OF_PEOPLE) and element.keyword not in OF_THE_STUDY:
            del made[element.tag]


def _tell_distance(made: Dataset, step: float) -> None:
    """How far slices are apart, in mm; highdicom leaves it out where some are missing, uneven or shifted.

    dcmqi, by which Slicer reads a SEG, takes their thickness for it then and loses slices that overlap.
    """
    (measures,) = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    if "SpacingBetweenSlices" not in measures:
        measures.SpacingBetweenSlices = f"{step:.6g}"


def _one_by_one(labels: LabelMap) -> np.ndarray:
    """uint8 ``[slice, y, x, label]``, since some are at the same place."""
    return np.stack([labels.mask(label.name).view(np.uint8) for label in labels.labels], axis=-1)


def _by_frame(slices: np.ndarray, images: list[Dataset], origin: Origin) -> np.ndarray:
    """The slices of a series in one file, in the order of the file's frames; frames of other parts are empty."""
    if len(images) > 1:
        raise OutputError(
            f"{origin.series.name} is spread over {len(images)} files of several frames each, to which no SEG can be "
            "pointed here; write .seg.nrrd instead."
        )
    frames = np.zeros((int(images[0].NumberOfFrames), *slices.shape[1:]), np.uint8)
    for image, values in zip(origin.series.images, slices, strict=True):
        frames[image.frame] = values
    return frames


def _described(label: Label, number: int, origin: Origin) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom import Dataset
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    maker = origin.maker(number)
    name, _, version = maker.model.rpartition("-")
    algorithm = AlgorithmIdentificationSequence(
        name=name or maker.model or "Med3D",
        family=codes.DCM.ArtificialIntelligence,
        version=version or Med3DCore.__version__,
        source="Med3D",
        parameters={"model": maker.model, **({"sha256": maker.digest} if maker.digest else {})},
    )
    described = SegmentDescription(
        number,
        label.title,
        CodedConcept(*_code(label.category)),
        CodedConcept(*_code(label.type)),
        maker.kind,
        None if maker.kind == "MANUAL" else algorithm,
        tracking_uid=generate_uid(entropy_srcs=[origin.series.uid, maker.digest, label.name]),
        tracking_id=f"{label.title} by {maker.model or 'hand'}"[:64],
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    if label.modifier is not None:
        modifier = Dataset()
        modifier.CodingSchemeDesignator, modifier.CodeValue, modifier.CodeMeaning = label.modifier
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return described


def _code(code: Code) -> tuple[str, str, str]:
    """Value, scheme and meaning, as highdicom wants them."""
    scheme, value, meaning = code
    return value, scheme, meaning
