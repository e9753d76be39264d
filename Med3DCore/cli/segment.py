"""``med3d segment``: liver and lungs of a scan, or of several."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from Med3DCore.cli.arguments import add_choice_of_volume, add_offset, add_orientation, path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.not_ct import add_not_ct
from Med3DCore.cli.segment_one import report_text, segment_one
from Med3DCore.cli.segment_places import Places, places_of, reserved
from Med3DCore.errors import Cancelled, Med3DError, SettingError
from Med3DCore.models import Catalogue, ModelPackage
from Med3DCore.models.catalogue import USUAL_ORGANS
from Med3DCore.progress import Progress
from Med3DCore.system.leftovers import own_name


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="find liver and lungs in a CT",
        description="Find liver and lungs in a CT, tell their volumes, and write them on the grid of the scan.",
    )
    parser.add_argument(
        "input",
        metavar="INPUT",
        type=path,
        nargs="*",
        help="image file (NIfTI, NRRD, MetaImage), DICOM folder, or one DICOM file; several are done one by one",
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
        help="result: .seg.nrrd is a segmentation for 3D Slicer; .nii.gz, .nii, .nrrd or .mha are label images; of a "
        "DICOM series .seg.dcm is a DICOM SEG and .rtstruct.dcm an RTSTRUCT; repeat for several (default: INPUT's "
        "name with .seg.nrrd, in the current folder); for several INPUTs a folder, or a "
        "name in which {} stands for INPUT's, such as 'results/{}.nii.gz'",
    )
    parser.add_argument("--picture", type=path, metavar="PNG", help="also draw the result over the scan")
    default = "default: the one that came with Med3D and looks closest"
    parser.add_argument("--model", help=f"name or file of a model ({default})")
    parser.add_argument(
        "--channel",
        action="append",
        type=path,
        metavar="FILE",
        default=[],
        help="a further image of the patient on INPUT's grid, for a model that needs several; repeat in its order",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    add_choice_of_volume(parser)
    parser.add_argument(
        "--dicomweb",
        metavar="URL",
        help="instead of INPUT: fetch the series whose UID is given with --series from this DICOMweb server; -o - "
        "stores a DICOM SEG into its study there (docs/dicom.md)",
    )
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="also average over mirrored copies, slower, a little better; for models that were taught mirrored anatomy",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="imported models in half precision also on a CPU, as all others: up to several times as fast where the "
        "processor has it, with borders that differ a little (docs/other_models.md)",
    )
    parser.add_argument(
        "--split-lungs", action="store_true", help="left and right lung as two organs in the place of lungs"
    )
    parser.add_argument(
        "--seg-labelmap",
        action="store_true",
        help="store a DICOM SEG as a label map: the newer way, smaller, which fewer programs read so far",
    )
    add_orientation(parser)
    add_offset(parser)
    add_not_ct(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run, misuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Segment, write, report.

    Returns:
        0, or 1 if all is written but a picture, or one of several scans is not.

    Raises:
        Med3DError: Nothing is written.
    """
    if args.dicomweb:
        return _run_dicomweb(args)
    if not args.input:
        args.misuse("which scan? Give an image file or a DICOM folder, or --dicomweb with --series.")
    scans = places_of(args.input, args.output or (), args.picture)
    organs = args.organ or (() if args.model else USUAL_ORGANS)
    package = _choose(organs, args)
    organs = organs or package.label_names
    if len(scans) > 1:
        return _run_several(scans, args, organs, package)
    report = _one(scans[0], args, organs, package)
    print(json.dumps(report, indent=1) if args.json else report_text(report))
    return 0 if "picture" in report or args.picture is None else 1


def _one(places: Places, args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage) -> dict:
    bar = ProgressBar(args.quiet)
    try:
        with reserved(places):
            return segment_one(places, args, organs, package, Progress(bar))
    finally:
        bar.close()


def _run_dicomweb(args: argparse.Namespace) -> int:
    """With a series of an archive, which is in a temporary folder meanwhile."""
    from Med3DCore.dicom_node.dicomweb import Archive

    if args.input or not args.series:
        raise SettingError("--dicomweb takes the series whose UID is given with --series, and no INPUT.")
    outputs = args.output or [Path("-")]
    archive, progress = Archive(args.dicomweb), Progress(ProgressBar(args.quiet))
    with tempfile.TemporaryDirectory(prefix=own_name("med3d-dicomweb-", "-")) as folder:
        scan, made = Path(folder) / "scan", Path(folder) / "result.seg.dcm"
        scan.mkdir()
        with progress.stage("fetch"):
            archive.fetch(args.series, scan, progress)
        stored = [made if output.name == "-" else output for output in outputs]
        here = {**vars(args), "dicomweb": None, "input": [scan], "output": stored, "series": None}
        code = run(argparse.Namespace(**here))
        if made.is_file():
            archive.store(made)
            say(f"Stored a DICOM SEG in the study of the series at {archive.url}")
    return code


def _run_several(scans: list[Places], args: argparse.Namespace, organs: tuple[str, ...], package: ModelPackage) -> int:
    """One after the other; what is wrong with one keeps no other from being done."""
    reports, failed = [], 0
    for number, places in enumerate(scans, start=1):
        if not args.quiet:
            say(f"{number} of {len(scans)}: {places.source}")
        try:
            report = _one(places, args, organs, package)
        except Cancelled:
            raise
        except Med3DError as error:
            say(f"med3d: {error}")
            report, failed = {"input": str(places.source), "error": str(error)}, failed + 1
        reports.append(report)
        if not args.json and "error" not in report:
            print(f"{places.source}\n{report_text(report)}\n", flush=True)
    if args.json:
        print(json.dumps(reports, indent=1))
    if failed == len(scans):
        return 2
    return 1 if failed or (args.picture is not None and any("picture" not in report for report in reports)) else 0


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
