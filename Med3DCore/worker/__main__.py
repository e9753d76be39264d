"""``python -m Med3DCore.worker``: start quickly, without the rest of the command line."""

from __future__ import annotations

import argparse
import sys

from Med3DCore.worker.server import add_arguments, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="Med3DCore.worker", description="The engine of Med3D as a process.")
    add_arguments(parser)
    sys.exit(serve(parser.parse_args().idle_minutes))
