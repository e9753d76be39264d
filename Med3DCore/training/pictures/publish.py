"""Make a model package of an encoder that learned from pictures, from which other trainings can start."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from Med3DCore.models.kinds import ENCODER
from Med3DCore.models.package_file import save_package
from Med3DCore.training.learning.task import Trained
from Med3DCore.training.pictures.picture_set import PictureSet
from Med3DCore.training.pictures.recipe import PictureRecipe

_PREFIX = "encoder."


def publish_picture_encoder(recipe: PictureRecipe, pictures: PictureSet, trained: Trained, folder: Path) -> Path:
    """Write the encoder; what answered for the classes is left out.

    Args:
        recipe: How it was trained.
        pictures: What it learned from.
        trained: What training gave.
        folder: Where the package goes.

    Returns:
        The package's file.

    Raises:
        OutputError: It cannot be written.
    """
    provenance = {
        "data_sets": [{"name": pictures.name, "licence": "not stated", "attribution": "not stated"}],
        "pictures": {"training": len(pictures.training), "held_out": len(pictures.held_out)},
        "classes": list(pictures.classes),
        "supervision": "masks" if pictures.has_masks else "classes",
        "settings": asdict(recipe.training),
        "views": asdict(recipe.views),
        "label_smoothing": recipe.label_smoothing,
        "seed": recipe.seed,
        "steps": trained.steps,
    }
    score = "mean_dice" if pictures.has_masks else "accuracy"
    metrics = {} if trained.validation.score is None else {"held_out": {score: round(trained.validation.score, 4)}}
    package = replace(recipe.package, provenance=provenance, metrics=metrics)
    weights = {key.removeprefix(_PREFIX): v for key, v in trained.weights.items() if key.startswith(_PREFIX)}
    return save_package(package, {ENCODER: weights}, folder)
