"""``med3d segment``: liver and lungs of a scan."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.console import ProgressBar
from Med3DCore.progress import Progress
from Med3DCore.tasks import find_labels

if TYPE_CHECKING:
    from Med3DCore.inference.segment import Segmentation

DEFAULT_ORGANS = ["liver", "lungs"]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("segment", help="find liver and lungs in a CT", description=__doc__)
    parser.add_argument("input", type=Path, help="image file (NIfTI, NRRD, MetaImage) or DICOM folder")
    parser.add_argument(
        "--organ", action="append", metavar="NAME", help="liver, lungs; repeat for several (default both)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="result: .seg.nrrd (Slicer segmentation), .nii.gz, .nrrd or .mha (label image)",
    )
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also draw the result over the scan")
    parser.add_argument("--model", help="name or file of a model (default: the newest that ships with Med3D)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--series", help="which series of a DICOM folder: its number or UID")
    parser.add_argument(
        "--mirror", action="store_true", help="also average over mirrored copies: slower, a little better"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment, write, report."""
    organs = args.organ or DEFAULT_ORGANS
    find_labels(organs)
    output = args.output or _default_output(args.input)
    _check_places(args.input, output, args.picture)
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        result = _segment(args, organs, output, progress)
    finally:
        bar.close()
    report = {
        "input": str(args.input),
        "output": str(output),
        **({"picture": str(args.picture)} if args.picture else {}),
        **result.report(),
        "seconds": {name: round(seconds, 2) for name, seconds in progress.timeline.items()},
        "total_seconds": round(progress.elapsed, 2),
    }
    print(json.dumps(report, indent=1) if args.json else _text(report))
    return 0


def _segment(args: argparse.Namespace, organs: list[str], output: Path, progress: Progress) -> Segmentation:
    from Med3DCore.io import read_volume, write_label_map

    with progress.stage("read", share=0.1):
        volume = read_volume(args.input, args.series, progress)
    with progress.stage("start torch", share=0.05):
        from Med3DCore.inference.pipeline import InferenceSettings
        from Med3DCore.inference.segment import segment
    settings = InferenceSettings(mirror_axes=(0, 1, 2) if args.mirror else ())
    result = segment(volume, organs, args.model, args.device, settings, progress)
    with progress.stage("write", share=0.05):
        write_label_map(result.labels, output)
    if args.picture:
        with progress.stage("draw", share=0.02):
            from Med3DCore.picture import write_picture

            write_picture(volume, result.labels, args.picture)
    return result


def _default_output(source: Path) -> Path:
    """In the current folder, named after the scan."""
    name = source.resolve().name
    for ending in (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"):
        name = name.removesuffix(ending)
    return Path(f"{name}.seg.nrrd")


def _check_places(source: Path, output: Path, picture: Path | None) -> None:
    """Find out before the work whether the results can be written."""
    from Med3DCore.errors import OutputError
    from Med3DCore.io import check_output

    check_output(output)
    if picture is not None:
        check_output(picture, endings=(".png",))
    for path in (output, picture):
        if path is not None and path.resolve() == source.resolve():
            raise OutputError(f"The result would replace the scan {source}; choose another name.")


def _text(report: dict) -> str:
    """The report for people."""
    lines = [f"{organ['name']:12}{organ['volume_ml']:>10.1f} mL" for organ in report["labels"]]
    lines += [f"warning: {sentence}" for sentence in report["warnings"]]
    lines.append("")
    lines += [f"{name:20}{seconds:>8.2f} s" for name, seconds in report["seconds"].items()]
    lines.append(f"{'total':20}{report['total_seconds']:>8.2f} s   {report['model']} on {report['device']}")
    lines.append("")
    lines += [f"wrote {report[kind]}" for kind in ("output", "picture") if kind in report]
    return "\n".join(lines)
