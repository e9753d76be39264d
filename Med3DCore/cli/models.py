"""``med3d models``: list, show, verify, install, export, remove and combine models, and import those of others."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from Med3DCore.cli import import_monai, import_nnunet
from Med3DCore.cli.arguments import path
from Med3DCore.cli.new_model import add_imported_model, add_new_model, saved
from Med3DCore.errors import ModelError
from Med3DCore.models import Catalogue, ModelEntry, ModelPackage
from Med3DCore.models.kinds import CLASSIFIER, DETECTOR, SCAN_CLASSIFIER


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register ``models`` and its actions."""
    parser = subparsers.add_parser(
        "models",
        help="list, check, install and import models",
        description="The models on this computer: those that came with Med3D, and your own in the folder that the "
        "environment variable MED3D_MODELS names or, without it, where your system keeps the data of programs.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = actions.add_parser("list", help="all models on this computer")
    action.add_argument("--json", action="store_true", help="print JSON for programs")
    action.set_defaults(act=_list)

    action = actions.add_parser("show", help="what a model is, needs and gives")
    action.add_argument("model", help="name, name-version or file")
    action.add_argument("--json", action="store_true", help="print JSON for programs")
    action.set_defaults(act=_show)

    action = actions.add_parser("verify", help="check every hash, and that the weights fit their networks")
    action.add_argument("model", nargs="*", help="name, name-version or file; all models if none is given")
    action.set_defaults(act=_verify)

    action = actions.add_parser("install", help="verify a model file and add it to your models")
    action.add_argument("file", type=path, help="a model's file, .med3d.zip")
    action.add_argument("--overwrite", action="store_true", help="take the place of another file of the same version")
    action.set_defaults(act=_install)

    action = actions.add_parser("export", help="copy a model to a folder or file")
    action.add_argument("model", help="name or name-version")
    action.add_argument("target", type=path, help="a folder, or a file name that ends with .med3d.zip")
    action.add_argument("--overwrite", action="store_true", help="take the place of another file")
    action.set_defaults(act=_export)

    action = actions.add_parser("remove", help="delete one of your models")
    action.add_argument("model", help="name or name-version")
    action.set_defaults(act=_remove)

    action = actions.add_parser(
        "import-checkpoint", help="make a model of MedicalNet's, Kinetics', Merlin's or Astra's encoder"
    )
    action.add_argument("file", type=path, help="for example resnet_50_23dataset.pth or astra_encoder.pt")
    add_imported_model(action, "the file's")
    action.add_argument("--in-channels", type=int, default=1, metavar="N", help="input channels (default: %(default)s)")
    action.set_defaults(act=_import_checkpoint)

    import_nnunet.add_action(actions)
    import_monai.add_action(actions)

    action = actions.add_parser("combine", help="make one model of several that average what they find")
    action.add_argument("models", nargs="+", metavar="model", help="names or files of models with the same stages")
    action.add_argument("--name", required=True, help="name of the new model")
    add_new_model(action)
    action.set_defaults(act=_combine)

    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say.

    Returns:
        Exit code: 0, or 2 if ``verify`` found a broken model.

    Raises:
        Med3DError: Something else went wrong.
    """
    return args.act(args)


def _list(args: argparse.Namespace) -> int:
    catalogue = Catalogue()
    entries = catalogue.list()
    if args.json:
        print(json.dumps([entry.to_dict() for entry in entries], indent=2, ensure_ascii=False))
        return 0
    if not entries:
        print(f"No models. Put them into {catalogue.user}, or use 'med3d models install FILE'.")
        return 0
    rows = [("NAME", "VERSION", "LABELS", "SIZE", "WHERE", "DESCRIPTION"), *map(_row, entries)]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[5]]))
    return 0


def _row(entry: ModelEntry) -> tuple[str, ...]:
    size, where = _megabytes(entry.size), "shipped" if entry.shipped else "user"
    package = entry.package
    if package is None:
        return (entry.reference, "-", "BROKEN", size, where, entry.problem or "")
    return (package.name, package.version, _labels(package), size, where, package.description)


def _labels(package: ModelPackage) -> str:
    return ", ".join(package.label_names) or f"({package.kind})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _show(args: argparse.Namespace) -> int:
    package = Catalogue().find(args.model)
    if args.json:
        print(json.dumps({"path": str(package.path), **package.to_dict()}, indent=2, ensure_ascii=False))
        return 0
    print(f"{package.title} ({package.reference})")
    print(package.description)
    facts = {
        "File": f"{package.path} ({_megabytes(package.file.stat().st_size)})",
        "Modality": package.modality,
        "Labels": ", ".join(f"{label.title} ({label.name})" for label in package.labels),
        "Made for": _spacing_range(package),
        "Encoder": json.dumps(package.encoder) if package.encoder else "",
        "Images": ", ".join(package.channels) or _taught_by(package),
        "Parent": package.parent or "",
        "Created": package.created,
        "Licence": package.licence,
    }
    for what, fact in facts.items():
        if fact:
            print(f"{what + ':':<10} {fact}")
    for stage in package.stages:
        where = f"around what '{stage.region['stage']}' found" if stage.region else "whole scan"
        places = {CLASSIFIER: "a cube around a point", SCAN_CLASSIFIER: "one answer a scan", DETECTOR: "slice by slice"}
        where = places.get(package.kind, where)
        spacing = " x ".join(f"{value:g}" for value in stage.preprocessing["spacing"])
        print(f"{'Stage:':<10} {stage.name}: {', '.join(stage.labels)} at {spacing} mm, {where}")
    for data_set in package.provenance.get("data_sets", ()):
        print(f"{'Data:':<10} {data_set['name']}, {data_set['licence']}. {data_set['attribution']}")
    if package.metrics:
        print("Metrics:", json.dumps(package.metrics, indent=2, ensure_ascii=False))
    if package.card:
        print(f"\n{package.card}")
    return 0


def _taught_by(package: ModelPackage) -> str:
    """What the images were like that an encoder learned from."""
    taught = package.provenance.get("preprocessing")
    return json.dumps(taught) if taught else ""


def _spacing_range(package: ModelPackage) -> str:
    if package.expected_spacing_mm is None:
        return ""
    low, high = (" x ".join(f"{value:g}" for value in spacing) for spacing in package.expected_spacing_mm)
    return f"spacings from {low} to {high} mm (x, y, z)"


def _verify(args: argparse.Namespace) -> int:
    catalogue = Catalogue()
    broken = 0
    for model in args.model or [entry.path for entry in catalogue.list()]:
        try:
            print(f"{catalogue.verify(model).reference}: sound")
        except ModelError as error:
            broken += 1
            print(f"{Path(model).name} is not sound. {error}", file=sys.stderr)
    return 2 if broken else 0


def _install(args: argparse.Namespace) -> int:
    print(f"Installed as {Catalogue().install(args.file, args.overwrite)}")
    return 0


def _export(args: argparse.Namespace) -> int:
    print(f"Exported to {Catalogue().export(args.model, args.target, args.overwrite)}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    print(f"Removed {Catalogue().remove(args.model)}")
    return 0


def _combine(args: argparse.Namespace) -> int:
    from Med3DCore.models.combine import combine

    catalogue = Catalogue()
    package, weights = combine([catalogue.find(model) for model in args.models], args.name, args.version, args.title)
    print(f"Saved as {saved(package, weights, args, half=True)}")
    return 0


def _import_checkpoint(args: argparse.Namespace) -> int:
    from Med3DCore.models.checkpoints import encoder_package, import_checkpoint

    encoder = import_checkpoint(args.file, args.in_channels)
    package = encoder_package(encoder, args.name, args.version, args.licence, args.title)
    target = saved(package, {"encoder": encoder.state_dict}, args, args.half)
    report = encoder.report
    print(
        f"ResNet-{encoder.depth}, shortcut {encoder.shortcut}, width {encoder.width}, {encoder.in_channels} channel(s)"
    )
    print(f"All {report.matched} encoder tensors of {report.source} were imported.")
    if report.ignored:
        print(f"{len(report.ignored)} tensors of a decoder or classifier were left out, such as {report.ignored[0]}.")
    if encoder.preprocessing:
        print(f"It is taken to have learned from images with {json.dumps(encoder.preprocessing)}.")
    print(f'For a recipe: "encoder": {json.dumps(encoder.spec)}')
    print(f"Saved as {target}")
    return 0
