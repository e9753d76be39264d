"""The recipe that follows from a task: its model, and how long and from which seed it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from Med3DCore.benchmarks.task import SEGMENTATION, BenchmarkTask
from Med3DCore.errors import SettingError, fault_in_settings
from Med3DCore.training.learning.recipe import Recipe, recipe_of

_VALIDATIONS = 5


def task_recipe(
    task: BenchmarkTask,
    steps: int | None = None,
    seed: int | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> Recipe:
    """The networks of a task and their training.

    Args:
        task: The task.
        steps: Of every stage, instead of what the file says; warm-up, average and validations are shortened with them.
        seed: Of weights, patches and augmentation; 1 by default.
        encoder: Settings of every stage's encoder that replace the file's, such as ``{"depth": 50, "width": 64}``.

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
        stages = [_with_encoder(stage, encoder) for stage in task.stages] if encoder else task.stages
        recipe = recipe_of({"model": model, "stages": stages, "seed": 1 if seed is None else seed})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = fault_in_settings(error)
        raise SettingError(f"The task {task.file} has a wrong or missing setting in 'stages': {reason}.") from None
    return recipe if steps is None else _shortened(recipe, steps)


def _with_encoder(stage: Mapping[str, Any], encoder: Mapping[str, Any]) -> dict[str, Any]:
    network = stage["network"]
    return {**stage, "network": {**network, "encoder": {**network["encoder"], **encoder}}}


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
