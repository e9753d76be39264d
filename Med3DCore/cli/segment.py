"""``med3d segment``: liver and lungs of a scan."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar
from Med3DCore.errors import Med3DError, OutputError
from Med3DCore.io import check_output
from Med3DCore.io.files import ending_of
from Med3DCore.io.write import WRITABLE
from Med3DCore.models import Catalogue, ModelPackage
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.inference.segment import Segmentation
    from Med3DCore.volume import Volume

DEFAULT_ORGANS = ("liver", "lungs")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="find liver and lungs in a CT",
        description="Find liver and lungs in a CT, tell their volumes, and write them on the grid of the scan.",
    )
    parser.add_argument(
        "input", metavar="INPUT", type=path, help="image file (NIfTI, NRRD, MetaImage), DICOM folder, or one DICOM file"
    )
    parser.add_argument(
        "--organ",
        action="append",
        type=str.lower,
        metavar="NAME",
        help="what to find; repeat for several, which are numbered 1, 2, ... in this order "
        "(default: liver and lungs or, with --model, all that it finds)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=path,
        metavar="OUT",
        help="result: .seg.nrrd is a segmentation for 3D Slicer; .nii.gz, .nii, .nrrd or .mha are label images "
        "(default: INPUT's name with .seg.nrrd, in the current folder)",
    )
    parser.add_argument("--picture", type=path, metavar="PNG", help="also draw the result over the scan")
    parser.add_argument("--model", help="name or file of a model (default: the newest that came with Med3D)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument("--series", help="which series of a DICOM folder: its number or UID")
    parser.add_argument(
        "--mirror", action="store_true", help="also average over mirrored copies: slower, a little better"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment, write, report.

    Returns:
        0, or 1 if all is written but the picture.

    Raises:
        Med3DError: Nothing is written.
    """
    output = args.output or _default_output(args.input)
    _check_places(args.input, output, args.picture)
    organs = args.organ or (() if args.model else DEFAULT_ORGANS)
    package = Catalogue().choose(organs, args.model)
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        volume, result = _segment(args, organs or package.label_names, package, output, progress)
        drawn = args.picture is not None and _draw(volume, result, args.picture, progress)
    finally:
        bar.close()
    report = {
        "input": str(args.input),
        "output": str(output),
        **({"picture": str(args.picture)} if drawn else {}),
        **result.report(),
        "warnings": progress.warnings,
        "seconds": {name: round(seconds, 2) for name, seconds in progress.timeline.items()},
        "total_seconds": round(progress.elapsed, 2),
    }
    print(json.dumps(report, indent=1) if args.json else _text(report))
    return 0 if drawn or args.picture is None else 1


def _segment(
    args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage, output: Path, progress: Progress
) -> tuple[Volume, Segmentation]:
    """Read, segment and write."""
    from Med3DCore.io import read_volume, write_label_map

    with progress.stage("read", share=0.1):
        volume = read_volume(args.input, args.series, progress)
    with progress.stage("start torch", share=0.05):
        from Med3DCore.inference.pipeline import InferenceSettings
        from Med3DCore.inference.segment import segment
    settings = InferenceSettings(mirror_axes=(0, 1, 2) if args.mirror else ())
    result = segment(volume, organs, package, args.device, settings, progress)
    with progress.stage("write", share=0.03):
        write_label_map(result.labels, output)
    return volume, result


def _draw(volume: Volume, result: Segmentation, picture: Path, progress: Progress) -> bool:
    """Draw; a failure is a warning, since the segmentation is written by now and its report must not be lost."""
    from Med3DCore.picture import write_picture

    try:
        with progress.stage("draw", share=0.0):
            write_picture(volume, result.labels, picture)
    except Med3DError as error:
        progress.warn(f"There is no picture: {error}")
        return False
    return True


def _default_output(source: Path) -> Path:
    """In the current folder, named after the scan; never a file that is there, perhaps corrected by hand.

    Raises:
        OutputError: It is there.
    """
    name = source.resolve().name
    for ending in (ending_of(source), ".dcm"):
        name = name[: len(name) - len(ending)] if ending and name.lower().endswith(ending) else name
    output = Path(f"{name or 'scan'}.seg.nrrd")
    if output.exists():
        again = shlex.quote(str(output))
        raise OutputError(f"{output} exists already; name the result with -o, or use -o {again} to replace it.")
    return output


def _check_places(source: Path, output: Path, picture: Path | None) -> None:
    """Find out before the work whether the results can be written.

    Raises:
        OutputError: They cannot, or would replace the scan.
        SettingError: There is no matplotlib to draw with.
    """
    check_output(output, (".seg.nrrd", *WRITABLE))
    if output.exists() and source.exists() and output.samefile(source):
        raise OutputError(f"The result would replace the scan {source}; choose another name.")
    if picture is not None:
        from Med3DCore.picture import require_matplotlib

        check_output(picture, (".png",))
        require_matplotlib()


def _text(report: dict) -> str:
    """The report for people."""
    lines = [f"{organ['name']:12}{organ['volume_ml']:>10.1f} mL" for organ in report["labels"]]
    lines += [f"Warning: {sentence}" for sentence in report["warnings"]]
    lines += ["", *(f"{name:20}{seconds:>8.2f} s" for name, seconds in report["seconds"].items())]
    lines.append(f"{report['total_seconds']:.1f} s with {report['model']} on {report['device']}")
    lines += [f"Wrote {report[kind]}" for kind in ("output", "picture") if kind in report]
    return "\n".join(lines)
