"""The ``med3d`` command. Each subcommand is a file of its own; none imports torch before it computes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import Med3DCore
from Med3DCore.cli import evaluate, info, models, phantom, segment, train, worker
from Med3DCore.errors import Cancelled, Med3DError

SUBCOMMANDS = (segment, info, evaluate, models, train, phantom, worker)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="med3d",
        description="Liver and lungs from a CT, on this computer; nothing leaves it. For research, not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"med3d {Med3DCore.__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if it worked, 2 for a problem told in a sentence, 130 if the user stopped it.
    """
    parsed = make_parser().parse_args(arguments)
    try:
        return parsed.run(parsed)
    except (KeyboardInterrupt, Cancelled):
        print("med3d: stopped; no file was left half-written.", file=sys.stderr)
        return 130
    except Med3DError as error:
        print(f"med3d: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("med3d: there is not enough memory for this; close other programs and try again.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
