"""The options of the commands of ``med3d models`` that make a model, and where they write it."""

from __future__ import annotations

import argparse
from pathlib import Path

from Med3DCore.cli.arguments import path
from Med3DCore.models import Catalogue, ModelPackage, save_package
from Med3DCore.models.package_file import package_file, require_absent


def add_new_model(action: argparse.ArgumentParser) -> None:
    """Add what a new model is called, and where it goes; its ``--name`` is each command's own."""
    add = action.add_argument
    add("--version", default="1.0.0", help="three numbers (default: %(default)s)")
    add("--title", default="", help="name shown to people")
    add("--output", type=path, help="folder or file; by default your models")
    add("--overwrite", action="store_true", help="take the place of another file")


def add_imported_model(action: argparse.ArgumentParser, named: str) -> None:
    """Add these, and what only a model of somebody else's weights has.

    Args:
        action: Parser of the command.
        named: What the model is called by default, such as ``"the file's"``.
    """
    action.add_argument("--name", help=f"name of the model; by default {named}")
    add_new_model(action)
    action.add_argument("--licence", default="not stated", help="licence of the weights (default: %(default)s)")
    action.add_argument("--half", action="store_true", help="store kernels as float16: half the size, rounded")


def saved(package: ModelPackage, weights: dict, args: argparse.Namespace, half: bool) -> Path:
    """Write a new model where the user wants it.

    Raises:
        Med3DError: It cannot be written, or there is one of the same name and version.
    """
    if args.output is None:
        return Catalogue().save(package, weights, half, args.overwrite)
    target = package_file(package, args.output)
    if not args.overwrite:
        require_absent(target)
    return save_package(package, weights, target, half)
