"""``med3d worker``: the engine as a process that speaks JSON lines, for Slicer and other programs."""

from __future__ import annotations

import argparse

from Med3DCore.worker.server import add_arguments, serve


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "worker",
        help="serve other programs over stdin and stdout",
        description="Serve Slicer and other programs: JSON lines on stdin and stdout.",
        epilog="docs/worker_protocol.md",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    return serve(args.idle_minutes)
