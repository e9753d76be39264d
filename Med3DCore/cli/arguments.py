"""Types of arguments that several subcommands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from Med3DCore.io.files import as_path


def path(text: str) -> Path:
    """The name of a file or folder, ``~`` included. An empty one, as of a variable that is not set, is refused."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is neither a file nor a folder")
    return as_path(text)


def count(text: str) -> int:
    """How many of something, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number, 0 or more")
    return int(text)
