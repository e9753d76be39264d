"""``med3d phantom``: a made-up CT with exact labels, to try everything without any download."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar
from Med3DCore.errors import DataError, OutputError
from Med3DCore.phantom import CONTRASTS, PhantomSettings, write_phantom
from Med3DCore.phantom.domains import write_phantom_domains
from Med3DCore.phantom.nodule_data_set import write_nodule_data_set
from Med3DCore.phantom.settings import KERNELS, PATHOLOGIES, REGIONS, SIZES
from Med3DCore.progress import Progress


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    usual = PhantomSettings()
    parser = subparsers.add_parser(
        "phantom",
        help="make a CT of a made-up patient, with labels",
        description="Make a CT of a made-up patient with exact labels, to try everything without any download.",
    )
    add = parser.add_argument
    add("output", type=path, metavar="OUTDIR", help="folder for ct.nii.gz and labels.nii.gz")
    add("--seed", type=int, default=0, help="which patient (default 0)")
    add("--spacing", type=spacing, default=usual.spacing, metavar="MM", help="voxel size: 2.5, or 0.75,0.75,1")
    add("--region", choices=REGIONS, default=usual.region, help=f"what to scan (default {usual.region})")
    add("--phase", choices=CONTRASTS, default=usual.contrast, help=f"contrast (default {usual.contrast})")
    add("--noise", type=float, default=usual.noise_hu, metavar="HU", help=f"noise (default {usual.noise_hu:g})")
    add("--kernel", choices=KERNELS, default=usual.kernel, help="reconstruction kernel (default standard)")
    add("--size", choices=SIZES, default=usual.size, help="of the patient (default medium)")
    add("--arms", choices=("up", "down"), default=usual.arms, help="of the patient (default up)")
    add("--pathology", choices=PATHOLOGIES, action="append", default=[], help="a finding; repeat for several")
    add("--orientation", default=usual.orientation, help="directions of the array's axes, such as RAS (default LPS)")
    add("--oblique", type=float, nargs=3, default=usual.oblique, metavar="DEGREES", help="turn about x, y and z")
    add(
        "--domains",
        type=int,
        metavar="N",
        help="instead: N patients for each of eight data sets of CT and MR, for `med3d pretrain`; all else is varied",
    )
    add(
        "--nodules",
        type=int,
        metavar="N",
        help="instead: N patients with nodules of the lungs, a scan around each nodule, its outline for `med3d train` "
        "and the table nodules.csv for `med3d classify train`; all else is varied",
    )
    add(
        "--lesions",
        type=int,
        metavar="N",
        help="instead: N patients with lesions of any kind, as slices in DeepLesion's layout (DL_info.csv, Images_png) "
        "for `med3d train` with a recipe of a detector; all else is varied",
    )
    add(
        "--backgrounds",
        type=path,
        metavar="CSV",
        help="with --lesions: real CTs to put lesions into, too; a table with the columns scan (file, relative to the "
        "table) and patient",
    )
    add(
        "--hard",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="with --lesions: part of the lesions that is hard to see, 0 to 1 (default %(default)s)",
    )
    add("--quiet", action="store_true", help="no progress")
    add("--replace", action="store_true", help="replace a ct.nii.gz and labels.nii.gz that are in DIR already")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the phantom, write it, say where.

    Raises:
        Med3DError: As :func:`.write_phantom`.
    """
    settings = PhantomSettings(
        spacing=args.spacing,
        region=args.region,
        contrast=args.phase,
        noise_hu=args.noise,
        kernel=args.kernel,
        size=args.size,
        arms=args.arms,
        pathology=tuple(args.pathology),
        orientation=args.orientation.upper(),
        oblique=tuple(args.oblique),
    )
    bar = ProgressBar(args.quiet)
    try:
        if args.domains is not None:
            files: Sequence[Path] = [write_phantom_domains(args.output, args.domains, progress=Progress(bar))]
        elif args.nodules is not None:
            files = [write_nodule_data_set(args.output, args.nodules, progress=Progress(bar))]
        elif args.lesions is not None:
            files = [_write_lesions(args, Progress(bar))]
        else:
            _keep_what_is_there(args.output, args.replace)
            files = write_phantom(args.output, args.seed, settings, Progress(bar))
    finally:
        bar.close()
    for file in files:
        print(file)
    return 0


def _write_lesions(args: argparse.Namespace, progress: Progress) -> Path:
    from Med3DCore.phantom.lesion_data_set import Background, write_lesion_data_set

    backgrounds = []
    if args.backgrounds is not None:
        from Med3DCore.training.data_sets.rows import read_rows

        columns, rows = read_rows(args.backgrounds)
        missing = [name for name in ("scan", "patient") if name not in columns]
        if missing:
            raise DataError(f"The table {args.backgrounds} has no column '{missing[0]}'; it needs scan and patient.")
        backgrounds = [Background(row["patient"], args.backgrounds.parent / row["scan"]) for row in rows]
    return write_lesion_data_set(args.output, args.lesions, backgrounds, args.hard, args.seed, progress)


def _keep_what_is_there(folder: Path, replace: bool) -> None:
    """Somebody's scan may have the name that a phantom gets.

    Raises:
        OutputError: It is there.
    """
    for file in (folder / name for name in ("ct.nii.gz", "labels.nii.gz")):
        if file.exists() and not replace:
            raise OutputError(f"{file} exists already; choose another folder, or add --replace to replace it.")


def spacing(text: str) -> tuple[float, ...]:
    """One number for all axes, or x,y,z. Its name is part of what argparse says about a wrong one."""
    values = tuple(float(part) for part in text.split(","))
    return values * 3 if len(values) == 1 else values
