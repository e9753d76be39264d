"""``med3d segment``: liver and lungs of a scan."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import shlex
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import add_choice_of_volume, add_orientation, path
from Med3DCore.cli.console import ProgressBar
from Med3DCore.errors import Med3DError, OutputError, SettingError
from Med3DCore.io import Header, Series, check_output, find_scan, read_found, write_label_maps
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
        action="append",
        type=path,
        metavar="OUT",
        help="result: .seg.nrrd is a segmentation for 3D Slicer; .nii.gz, .nii, .nrrd or .mha are label images; repeat "
        "for several (default: INPUT's name with .seg.nrrd, in the current folder)",
    )
    parser.add_argument("--picture", type=path, metavar="PNG", help="also draw the result over the scan")
    parser.add_argument("--model", help="name or file of a model (default: the newest that came with Med3D)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    add_choice_of_volume(parser)
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="also average over mirrored copies, slower, a little better; for models that were taught mirrored anatomy",
    )
    parser.add_argument(
        "--split-lungs", action="store_true", help="left and right lung as two organs in the place of lungs"
    )
    add_orientation(parser)
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
    outputs = args.output or [_default_output(args.input)]
    _check_places(args.input, outputs, args.picture)
    organs = args.organ or (() if args.model else DEFAULT_ORGANS)
    package = _choose(organs, args)
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        scan, volume, result = _segment(args, organs or package.label_names, package, outputs, progress)
        drawn = args.picture is not None and _draw(volume, result, args.picture, progress)
    finally:
        bar.close()
    report = {
        "input": str(args.input),
        **({"series": scan.facts()} if isinstance(scan, Series) else {}),
        "outputs": [str(output) for output in outputs],
        **({"picture": str(args.picture)} if drawn else {}),
        **result.report(),
        "warnings": progress.warnings,
        "seconds": {name: round(seconds, 2) for name, seconds in progress.timeline.items()},
        "total_seconds": round(progress.elapsed, 2),
    }
    print(json.dumps(report, indent=1) if args.json else _text(report))
    return 0 if drawn or args.picture is None else 1


def _choose(organs: tuple[str, ...], args: argparse.Namespace) -> ModelPackage:
    """The model, and whether its lungs can be parted.

    Raises:
        Med3DError: There is no such model, or it does not find the organs.
    """
    try:
        package = Catalogue().choose(organs, args.model)
    except SettingError as error:
        if {"left_lung", "right_lung"} & set(organs):
            raise SettingError(f"{error} Each lung by itself comes with --organ lungs --split-lungs.") from None
        raise
    if args.split_lungs and "lungs" not in (organs or package.label_names):
        raise SettingError("--split-lungs parts the organ lungs, which was not asked for; add --organ lungs.")
    return package


def _segment(
    args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage, outputs: list[Path], progress: Progress
) -> tuple[Header | Series, Volume, Segmentation]:
    """Read, segment and write."""
    with progress.stage("read", share=0.1):
        scan = find_scan(args.input, args.series, progress, args.frame, args.acquisition)
        starting = threading.Lock()  # alone of all locks not harmed when Ctrl-C comes while it is waited for
        starting.acquire()
        threading.Thread(target=_start_torch, args=(starting,)).start()
        volume = read_found(scan, args.input, progress, args.orientation)
    with progress.stage("start torch", share=0.05):
        starting.acquire()  # two threads that import the same modules at once can lock each other out
        from Med3DCore.inference.pipeline import InferenceSettings
        from Med3DCore.inference.segment import segment
    settings = InferenceSettings(mirror=args.mirror)
    result = segment(volume, organs, package, args.device, settings, progress, args.split_lungs)
    with progress.stage("write", share=0.03):
        # On the file's own grid, whatever --orientation says, so that the result lies over the scan in every viewer.
        write_label_maps(replace(result.labels, geometry=scan.geometry), outputs)
    return scan, volume, result


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


def _check_places(source: Path, outputs: list[Path], picture: Path | None) -> None:
    """Find out before the work whether the results can be written.

    Raises:
        OutputError: They cannot, or would replace the scan.
        SettingError: There is no matplotlib to draw with.
    """
    for output in outputs:
        check_output(output, (".seg.nrrd", *WRITABLE))
        if output.exists() and source.exists() and output.samefile(source):
            raise OutputError(f"The result would replace the scan {source}; choose another name.")
    if picture is not None:
        from Med3DCore.picture import require_matplotlib

        check_output(picture, (".png",))
        require_matplotlib()


def _text(report: dict) -> str:
    """The report for people."""
    lines = _series_lines(report["series"]) if "series" in report else []
    lines += [f"{organ['name']:12}{organ['volume_ml']:>10.1f} mL" for organ in report["labels"]]
    lines += [f"Warning: {sentence}" for sentence in report["warnings"]]
    lines += ["", *(f"{name:20}{seconds:>8.2f} s" for name, seconds in report["seconds"].items())]
    lines.append(f"{report['total_seconds']:.1f} s with {report['model']} on {report['device']}")
    lines += [f"Wrote {path}" for path in (*report["outputs"], report.get("picture")) if path]
    return "\n".join(lines)


def _series_lines(series: dict) -> list[str]:
    """Which series of a DICOM folder it was."""
    return [f"Of {series['title']}, {series['slices']} slices:", *(f"Left out {one}" for one in series["left_out"]), ""]
