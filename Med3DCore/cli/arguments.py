"""Types of arguments that several subcommands take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from Med3DCore.errors import SettingError
from Med3DCore.io.files import as_path
from Med3DCore.io.orientation import checked_letters


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


def with_names_joined(arguments: Sequence[str]) -> list[str]:
    """Arguments in which a file name that begins with "-" is joined to the ``-o`` before it, as argparse wants it.

    Examples:
        >>> with_names_joined(["segment", "ct.nrrd", "-o", "-1.nrrd", "--quiet"])
        ['segment', 'ct.nrrd', '--output=-1.nrrd', '--quiet']
    """
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("-o", "--output") and argument.startswith("-") and Path(argument).suffix:
            joined[-1] = f"--output={argument}"
        else:
            joined.append(argument)
    return joined


def add_choice_of_volume(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which volume of an input with several is meant."""
    parser.add_argument(
        "--series",
        help="which series of DICOM files: its letter in `med3d info`, its series number, or the beginning of its UID",
    )
    parser.add_argument("--acquisition", help="which acquisition or phase of a DICOM series that holds several")
    parser.add_argument("--frame", type=count, metavar="N", help="which volume of a 4D file, from 0")


def add_orientation(parser: argparse.ArgumentParser) -> None:
    """The argument that says how the axes of an array run where its file does not, or lies."""
    parser.add_argument(
        "--orientation",
        type=_orientation,
        metavar="RAS",
        help="how the axes x, y, z of the array run in the patient (Left or Right, Posterior or Anterior, Superior or "
        "Inferior), where the file does not say it or lies",
    )


def _orientation(text: str) -> str:
    try:
        return checked_letters(text)
    except SettingError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def add_offset(parser: argparse.ArgumentParser) -> None:
    """The argument that makes Hounsfield units of values that lack their offset."""
    parser.add_argument(
        "--offset", type=float, default=0.0, metavar="HU", help="is added to all values: -1024 for a CT of 0..4095"
    )
