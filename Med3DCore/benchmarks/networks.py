"""The recipe that follows from a task: its model, and how long and from which seed it is trained."""

from __future__ import annotations

from dataclasses import replace

from Med3DCore.benchmarks.task import SEGMENTATION, BenchmarkTask
from Med3DCore.errors import SettingError
from Med3DCore.training.learning.recipe import Recipe, recipe_of

_VALIDATIONS = 5


def task_recipe(task: BenchmarkTask, steps: int | None = None, seed: int | None = None) -> Recipe:
    """The networks of a task and their training.

    Args:
        task: The task.
        steps: Of every stage, instead of what the file says; warm-up, average and validations are shortened with them.
        seed: Of weights, patches and augmentation; 1 by default.

    Raises:
        SettingError: A setting in the file's ``stages`` is unknown, missing or makes no sense, or there are no steps.
    """
    model = {
        "name": f"task-{task.name}",
        "version": "0.1.0",
        "title": task.title,
        "description": task.about,
        "modality": task.data.get("modality", "CT"),
        "licence": "not stated",
    }
    if task.kind == SEGMENTATION:
        model["labels"] = list(task.labels)
    try:
        recipe = recipe_of({"model": model, "stages": task.stages, "seed": 1 if seed is None else seed})
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"The task {task.file} has a wrong or missing setting in 'stages': {error}.") from None
    return recipe if steps is None else _shortened(recipe, steps)


def _shortened(recipe: Recipe, steps: int) -> Recipe:
    if steps < 1:
        raise SettingError(f"A training of {steps} steps teaches nothing; ask for at least one.")
    stages = []
    for stage in recipe.stages:
        training = stage.training
        shorter = replace(
            training,
            steps=steps,
            validate_every=max(1, steps // _VALIDATIONS),
            warmup=min(training.warmup, steps // 10),
            ema=min(training.ema, max(0.0, 1 - 10 / steps)),
        )
        stages.append(replace(stage, training=shorter))
    return replace(recipe, stages=tuple(stages))
