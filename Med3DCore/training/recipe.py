"""How to train a model: a JSON file that says everything that the result depends on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path

from Med3DCore.errors import SettingError
from Med3DCore.models.package import Stage
from Med3DCore.training.augmentation import Augmentation


@dataclass(frozen=True)
class TrainingSettings:
    """How one network is trained.

    Args:
        steps: Optimizer steps.
        patch: Patch shape (z, y, x) in voxels.
        batch: Patches a step.
        learning_rate: Highest learning rate of AdamW; one-cycle cosine after a linear warm-up.
        warmup: Steps of the warm-up.
        weight_decay: AdamW's.
        foreground: Share of patches centred on a labelled voxel.
        ema: Decay of the averaged weights, which are those that are kept.
        clip_norm: Largest norm of the gradient.
        validate_every: Steps between validations.
        augmentation: How to vary the patches.
    """

    steps: int = 1000
    patch: tuple[int, int, int] = (96, 96, 96)
    batch: int = 2
    learning_rate: float = 2e-3
    warmup: int = 50
    weight_decay: float = 1e-2
    foreground: float = 0.6
    ema: float = 0.995
    clip_norm: float = 5.0
    validate_every: int = 250
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class StageRecipe:
    """A stage of the pipeline and how to train it."""

    stage: Stage
    training: TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """A model and how to train it.

    Args:
        model: Everything of the model package that is known beforehand: name, version, title, description, ...
        stages: The networks.
        seed: Seed of weights, sampling and augmentation.
    """

    model: dict
    stages: tuple[StageRecipe, ...]
    seed: int = 0

    def stage(self, name: str) -> StageRecipe:
        """The stage called ``name``.

        Raises:
            SettingError: There is none.
        """
        for recipe in self.stages:
            if recipe.stage.name == name:
                return recipe
        raise SettingError(f"The recipe has no stage '{name}'; it has {', '.join(r.stage.name for r in self.stages)}.")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        SettingError: It cannot be read, or has an unknown or missing setting, which the sentence names.
    """
    try:
        values = json.loads(Path(path).read_text())
        model = dict(values["model"])
        stages = tuple(_stage(entry) for entry in values["stages"])
        return Recipe(model, stages, int(values.get("seed", 0)))
    except OSError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"The recipe {path} has a wrong or missing setting: {error}.") from error


def _stage(entry: dict) -> StageRecipe:
    values = dict(entry)
    training = dict(values.pop("training"))
    augmentation = _construct(Augmentation, training.pop("augmentation", {}))
    settings = _construct(TrainingSettings, {**training, "augmentation": augmentation})
    return StageRecipe(_construct(Stage, values), settings)


def _construct(kind: type, values: dict) -> object:
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        raise KeyError(f"unknown setting {sorted(unknown)} of {kind.__name__}")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
