"""A series that is complete becomes results."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.dicom_node.settings import NodeSettings
from Med3DCore.errors import VolumeError
from Med3DCore.io import read_found, write_label_maps
from Med3DCore.io.dicom.choice import choose_series
from Med3DCore.io.dicom.series import series_of_files
from Med3DCore.io.dicom_results import Origin
from Med3DCore.models import Catalogue, ModelPackage
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.volume import LabelMap, Volume

FILES = {"seg": "r.seg.dcm", "rtstruct": "r.rtstruct.dcm", "picture": "r.picture.dcm"}
_log = logging.getLogger(__name__)


@dataclass
class Segmenter:
    """Makes the results of series, one after the other, each with the model that is there by then.

    Args:
        settings: Organs, model, and what is to be made.
    """

    settings: NodeSettings

    def __post_init__(self) -> None:
        self._package()  # what is wrong with the settings is told at once

    def _package(self) -> ModelPackage:
        package = Catalogue().choose(self.settings.organs, self.settings.model or None)
        package.require_pipeline()
        return package

    def make(self, slices: Sequence[Path], results: Path) -> None:
        """Segment a series and write what is to be sent: all of it, or nothing.

        Args:
            slices: Its files, in one folder. Others may be there: of a slow sender one may just be written.
            results: Folder to be made; one that is there with all that is to be sent stays.

        Raises:
            Med3DError: The series cannot be used.
        """
        if self.is_made(results):
            return
        from Med3DCore.inference.segment import segment

        progress, package = Progress(), self._package()
        digest = package.digest()
        found = series_of_files(slices, progress)
        if not found:
            raise VolumeError(f"The slices of {results.name} are gone, or none can be read.")
        folder = slices[0].parent
        scan = choose_series(found, None, folder)
        volume = read_found(scan, folder, progress)
        organs = self.settings.organs or package.label_names
        result = segment(volume, organs, package, self.settings.device, progress=progress)
        for sentence in progress.warnings:
            _log.warning("%s: %s", folder.name, sentence)
        origin = Origin(scan, package.reference, digest, self.settings.seg_labelmap)
        made = results.with_name(f".{results.name}")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        kinds = self.settings.kinds
        write_label_maps(result.labels, [made / FILES[kind] for kind in kinds if kind != "picture"], origin)
        if "picture" in kinds:
            _write_picture(volume, result.labels, origin, made / FILES["picture"])
        shutil.rmtree(results, ignore_errors=True)
        made.rename(results)

    def is_made(self, results: Path) -> bool:
        """Whether a folder holds all that is to be sent by these settings."""
        return all((results / FILES[kind]).is_file() for kind in self.settings.kinds)


def _write_picture(volume: Volume, labels: LabelMap, origin: Origin, path: Path) -> None:
    """The outlines over the scan as a secondary capture, with the codes of the study."""
    from highdicom import UID
    from highdicom.sc import SCImage
    from matplotlib.image import imread

    from Med3DCore.drawing.picture import write_picture

    write_picture(volume, labels, path.with_suffix(".png"))
    pixels = (imread(path.with_suffix(".png"))[..., :3] * 255).round().astype("uint8")
    path.with_suffix(".png").unlink()
    made = SCImage.from_ref_dataset(
        origin.images[0],
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=UID(),
        sop_instance_uid=UID(),
        series_number=302,
        instance_number=1,
        manufacturer="Med3D",
        patient_orientation=("L", "P"),
    )
    made.SeriesDescription = f"Picture by {origin.model}"[:64]
    made.save_as(path, enforce_file_format=True)
