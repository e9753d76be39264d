"""``med3d detect``: boxes around what may be lesions in a scan."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.not_ct import add_not_ct, require_kind
from Med3DCore.errors import SettingError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.inference.detect import Finding
    from Med3DCore.models import ModelPackage


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "detect",
        help="put boxes around lesions",
        description="Look for lesions in every slice of a scan and give boxes with scores. A detector is trained with "
        "`med3d train` and a recipe such as Resources/Recipes/detection-small.json; none comes with Med3D.",
    )
    add = parser.add_argument
    add("scan", type=path, help="image file or DICOM folder")
    add("-m", "--model", metavar="MODEL", help="name, name-version or file of a detector (default: the one installed)")
    add("-o", "--output", type=path, metavar="FILE", help="also write the boxes: .json")
    add("--picture", type=path, metavar="FILE", help="draw the surest ones: .png")
    add(
        "--least-score",
        type=float,
        default=0.3,
        metavar="S",
        help="leave out what is less sure, 0 to 1 (default %(default)s)",
    )
    add_not_ct(parser)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    add("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the scan, look for lesions, write and say what was found.

    Raises:
        Med3DError: Scan or model cannot be used, or a file cannot be written.
    """
    from Med3DCore.drawing.figure import require_matplotlib
    from Med3DCore.drawing.findings import write_findings
    from Med3DCore.inference.detect import Detector
    from Med3DCore.inference.device import choose_device
    from Med3DCore.io import check_output, read_volume

    if not 0 <= args.least_score <= 1:
        raise SettingError(f"The least score is {args.least_score:g}; it must be from 0 to 1.")
    for file, endings in ((args.output, (".json",)), (args.picture, (".png",))):
        if file:
            check_output(file, endings)
    if args.picture:
        require_matplotlib()
    package = _detector(args.model)
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        with progress.stage("read scan", share=0.1):
            volume = read_volume(args.scan, progress=progress)
            require_kind(volume, package, progress, args.not_ct)
        with progress.stage("look for lesions", share=0.9):
            findings = Detector(package, choose_device(args.device)).detect(volume, args.least_score, progress)
    finally:
        bar.close()
    for sentence in progress.warnings:
        say(f"Warning: {sentence}")
    _say(findings)
    if args.output:
        _write(findings, package.reference, volume.name, args)
    if args.picture:
        write_findings(volume, [(each.score, each.low, each.high, each.key_z) for each in findings], args.picture)
    return 0


def _detector(name: str | None) -> ModelPackage:
    """The model that was asked for, or the newest detector that is installed.

    Raises:
        ModelError: There is no such model.
        SettingError: None was named and no detector is installed.
    """
    from Med3DCore.models import Catalogue
    from Med3DCore.models.kinds import DETECTOR

    catalogue = Catalogue()
    if name:
        return catalogue.find(name)
    packages = [each.package for each in catalogue.list()]
    detectors = [package for package in packages if package is not None and package.kind == DETECTOR]
    if not detectors:
        raise SettingError(
            "No detector is installed; train one with `med3d train` and Resources/Recipes/detection-small.json, or "
            "name one with --model."
        )
    return max(detectors, key=lambda package: package.created)


def _say(findings: Sequence[Finding]) -> None:
    for number, each in enumerate(findings, start=1):
        place, size = (" ".join(f"{value:.1f}" for value in part) for part in (each.centre, each.size))
        print(f"{number}: score {each.score:.2f}, {size} mm at {place} mm, LPS")
    if not findings:
        print("Nothing was found.")


def _write(findings: Sequence[Finding], model: str, scan: str, args: argparse.Namespace) -> None:
    from Med3DCore.io import written_beside

    lesions = [{"number": number, **each.to_dict()} for number, each in enumerate(findings, start=1)]
    about = {"model": model, "scan": scan, "space": "LPS", "least_score": args.least_score}
    file: Path = args.output
    with written_beside(file) as temporary:
        temporary.write_text(json.dumps({**about, "lesions": lesions}, indent=1) + "\n", encoding="utf-8")
