"""One scan of ``med3d segment``: read, segmented, written, reported."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.not_ct import with_cure
from Med3DCore.cli.segment_places import Places
from Med3DCore.errors import Med3DError, VolumeError
from Med3DCore.io import Header, Series, find_scan, read_found, write_label_maps
from Med3DCore.io.dicom_results import Origin, require_origin
from Med3DCore.models import ModelPackage
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.inference.segment import Segmentation
    from Med3DCore.volume import Volume


def segment_one(
    places: Places, args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage, progress: Progress
) -> dict:
    """Segment a scan and write the result.

    Returns:
        The report, plain values; with "picture" if one was drawn.

    Raises:
        Med3DError: Nothing is written.
    """
    scan, volume, result = _segment(places, args, organs, package, progress)
    drawn = places.picture is not None and _draw(volume, result, places.picture, progress)
    return {
        "input": str(places.source),
        **({"series": scan.facts()} if isinstance(scan, Series) else {}),
        "outputs": [str(output) for output in places.outputs],
        **({"picture": str(places.picture)} if drawn else {}),
        **result.report(),
        "warnings": progress.warnings,
        "seconds": {name: round(seconds, 2) for name, seconds in progress.timeline.items()},
        "total_seconds": round(progress.elapsed, 2),
    }


def report_text(report: dict) -> str:
    """The report for people."""
    lines = _series_lines(report["series"]) if "series" in report else []
    lines += [f"{organ['name']:12}{organ['volume_ml']:>10.1f} mL" for organ in report["labels"]]
    lines += [f"Warning: {sentence}" for sentence in report["warnings"]]
    lines += ["", *(f"{name:20}{seconds:>8.2f} s" for name, seconds in report["seconds"].items())]
    faster = ", in half precision" if report["fast"] else ""
    lines.append(f"{report['total_seconds']:.1f} s with {report['model']} on {report['device']}{faster}")
    lines += [f"Wrote {path}" for path in (*report["outputs"], report.get("picture")) if path]
    return "\n".join(lines)


def _series_lines(series: dict) -> list[str]:
    """Which series of a DICOM folder it was."""
    return [f"Of {series['title']}, {series['slices']} slices:", *(f"Left out {one}" for one in series["left_out"]), ""]


def _segment(
    places: Places, args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage, progress: Progress
) -> tuple[Header | Series, Volume, Segmentation]:
    """Read, segment and write."""
    with progress.stage("read", share=0.1):
        scan = find_scan(places.source, args.series, progress, args.frame, args.acquisition)
        require_origin(scan, places.outputs, args.orientation)
        starting = threading.Lock()  # alone of all locks not harmed when Ctrl-C comes while it is waited for
        starting.acquire()
        threading.Thread(target=_start_torch, args=(starting,)).start()
        volume = read_found(scan, places.source, progress, args.orientation, args.offset)
        channels = [read_found(find_scan(file), file, progress, args.orientation) for file in args.channel]
        origin = _origin(scan, package, args.seg_labelmap)  # of the model's file as it is before somebody replaces it
    with progress.stage("start torch"):
        starting.acquire()  # two threads that import the same modules at once can lock each other out
        from Med3DCore.inference.segment import segment
        from Med3DCore.inference.stage_networks import InferenceSettings
    settings = InferenceSettings(mirror=args.mirror, fast=args.fast)
    try:
        asked = (args.split_lungs, args.not_ct, channels)
        result = segment(volume, organs, package, args.device, settings, progress, *asked)
    except VolumeError as error:
        raise with_cure(error, "Segment") from None
    with progress.stage("write", share=0.03):
        # On the file's own grid, whatever --orientation says, so that the result lies over the scan in every viewer.
        write_label_maps(replace(result.labels, geometry=scan.geometry), places.outputs, origin)
    return scan, volume, result


def _origin(scan: Header | Series, package: ModelPackage, labelmap: bool) -> Origin | None:
    """What results in DICOM point back to; None for a scan that is none."""
    if not isinstance(scan, Series):
        return None
    return Origin(scan, package.reference, package.digest(), labelmap)


def _start_torch(starting: threading.Lock) -> None:
    """Import what computes, so that it takes no time of its own: while a scan is decompressed, Python is free for it.

    What Python has imported never becomes garbage. Not looking for some there saves a sixth of the import, and the
    half second that a process otherwise takes to end.
    """
    if "torch" not in sys.modules:
        gc.disable()
        with suppress(BaseException):  # who needs it imports it again, and is told
            importlib.import_module("Med3DCore.inference.segment")
        gc.freeze()
        gc.enable()
    starting.release()


def _draw(volume: Volume, result: Segmentation, picture: Path, progress: Progress) -> bool:
    """Draw; a failure is a warning, since the segmentation is written by now and its report must not be lost."""
    from Med3DCore.drawing.picture import write_picture

    try:
        with progress.stage("draw", share=0.0):
            write_picture(volume, result.labels, picture)
    except Med3DError as error:
        progress.warn(f"There is no picture: {error}")
        return False
    return True
