"""``med3d pretrain-2d``: train a 3D encoder on pictures (VDT)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.training import add_training_options, on_every_rank, resumable, train_as_asked

if TYPE_CHECKING:
    from Med3DCore.system.distributed import Ranks


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "pretrain-2d",
        help="train a 3D encoder on ordinary pictures (VDT)",
        description="Train a 3D encoder on pictures, whose three colours are taken for three slices, and make a model "
        "package of it, from which `--init` starts; called again, it goes on where it stopped.",
    )
    add = parser.add_argument
    add(
        "pictures",
        type=path,
        help="folder, or zip of one, that holds a folder of pictures (PNG, JPEG, DICOM) for each class, perhaps below "
        "train and val or test; or images and masks with files of the same names",
    )
    add("-o", "--output", type=path, required=True, help="folder for checkpoint, log and encoder")
    add("--recipe", type=path, required=True, help="a JSON file such as Resources/Recipes/pictures-small.json")
    add("--flat", action="store_true", help="train the plain 2D network of the same depth and width, to compare with")
    add("--seed", type=count, help="seed (default: the recipe's)")
    add_training_options(parser, cache=False)
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
    """Pre-train, then write the encoder. Called again, it goes on where it was stopped.

    Raises:
        Med3DError: Recipe or pictures cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.learning.curve import draw_curve
    from Med3DCore.training.pictures.decode import require_pillow
    from Med3DCore.training.pictures.picture_set import read_picture_set
    from Med3DCore.training.pictures.pre_training import PicturePreTraining
    from Med3DCore.training.pictures.publish import publish_picture_encoder
    from Med3DCore.training.pictures.recipe import read_picture_recipe

    require_pillow()
    recipe, output = read_picture_recipe(args.recipe, args.flat, args.seed), Path(args.output)
    device, pictures = (
        choose_device(ranks.device(args.device)),
        read_picture_set(args.pictures, recipe.held_out, recipe.seed),
    )
    print(
        f"{len(pictures.training)} pictures of {len(pictures.classes)} classes to learn from, "
        f"{len(pictures.held_out)} held out"
    )
    with resumable(args, output) as progress:
        task = PicturePreTraining(recipe, pictures)
        trained = train_as_asked(args, task, recipe.training, output, recipe.seed, device, progress)
    if trained.validation.score is not None:
        what = "mean Dice" if pictures.has_masks else "accuracy"
        print(f"held-out pictures: {what} {trained.validation.score:.3f} (n = {len(pictures.held_out)})")
    if ranks.is_main:
        draw_curve(output, {task.name: output})
        print(f"wrote {publish_picture_encoder(recipe, pictures, trained, output)}")
    return 0
