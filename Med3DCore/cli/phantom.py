"""``med3d phantom``: a made-up CT with exact labels, to try everything without any download."""

from __future__ import annotations

import argparse
from pathlib import Path

from Med3DCore.cli.console import ProgressBar
from Med3DCore.phantom import CONTRASTS, PhantomSettings
from Med3DCore.phantom.settings import KERNELS, PATHOLOGIES, REGIONS, SIZES
from Med3DCore.progress import Progress


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    default = PhantomSettings()
    parser = subparsers.add_parser("phantom", help="make a CT of a made-up patient, with labels", description=__doc__)
    parser.add_argument("output", type=Path, metavar="OUTDIR", help="folder for ct.nii.gz and labels.nii.gz")
    parser.add_argument("--seed", type=int, default=0, help="which patient (default 0)")
    parser.add_argument(
        "--spacing", type=float, nargs="+", default=[2.5], metavar="MM", help="one voxel size, or x y z (default 2.5)"
    )
    parser.add_argument("--region", choices=REGIONS, default=default.region)
    parser.add_argument("--phase", choices=CONTRASTS, default=default.contrast, help="contrast phase, or MR weighting")
    parser.add_argument(
        "--noise", type=float, default=default.noise_hu, metavar="HU", help="standard deviation of the noise"
    )
    parser.add_argument("--kernel", choices=KERNELS, default=default.kernel, help="reconstruction kernel")
    parser.add_argument("--size", choices=SIZES, default=default.size, help="of the patient")
    parser.add_argument("--arms", choices=("up", "down"), default=default.arms)
    parser.add_argument("--pathology", choices=PATHOLOGIES, action="append", default=[], help="repeat for several")
    parser.add_argument("--orientation", default=default.orientation, help="of the axes, such as RAS (default LPS)")
    parser.add_argument(
        "--oblique",
        type=float,
        nargs=3,
        default=list(default.oblique),
        metavar="DEG",
        help="turn of the grid about x, y, z",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the phantom, write it, say where."""
    from Med3DCore.phantom import write_phantom

    spacing = tuple(args.spacing * 3 if len(args.spacing) == 1 else args.spacing)
    settings = PhantomSettings(
        spacing=spacing,
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
        files = write_phantom(args.output, args.seed, settings, Progress(bar))
    finally:
        bar.close()
    for file in files:
        print(file)
    return 0
