"""How to train a model: a JSON file that says everything that the result depends on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from Med3DCore.errors import SettingError, fault_in_settings
from Med3DCore.geometry import Triple
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.stage import Stage
from Med3DCore.networks.checks import check_counts
from Med3DCore.preprocessing import domain_spacing
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.region import RegionSampling
from Med3DCore.training.setting_checks import require, require_ranges

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")


@dataclass(frozen=True)
class TrainingSettings(LoopSettings):
    """How one network is trained, besides the settings of every training.

    Args:
        patch: Patch shape (z, y, x) in voxels.
        foreground: Share of patches centred on a labelled voxel; of a classifier of points, that show the second class.
        class_weights: Of a classifier of whole scans, how much each class counts in the loss, or with sigmoid the scans
            that show each label beside those that do not; none for as much as it is rare in training.
        anybody: Share of patches drawn from all patients, to show where a label is not.
        encoder_rate: Learning rate of the encoder as a part of the decoder's; 0 freezes it.
        layer_decay: Learning rate of each layer of the encoder as a part of the next deeper one's.
        augmentation: How to vary the patches.
        region: For a stage that looks only where an earlier one found its labels: patches lie there, too. None for
            patches from anywhere in the scan.
    """

    patch: tuple[int, int, int] = (96, 96, 96)
    foreground: float = 0.6
    anybody: float = 0.15
    encoder_rate: float = 1.0
    layer_decay: float = 1.0
    class_weights: tuple[float, ...] = ()
    augmentation: Augmentation = field(default_factory=Augmentation)
    region: RegionSampling | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts("The training's setting 'patch'", self.patch, 3)
        require_ranges(self, ("foreground", "anybody", "layer_decay"), 0, 1)
        require_ranges(self, ("encoder_rate",), 0)
        weights = all(type(weight) in (int, float) and 0 < weight < math.inf for weight in self.class_weights)
        require(self, "class_weights", weights, "a list of numbers above 0")
        require(self, "augmentation", isinstance(self.augmentation, Augmentation), "an object of settings")
        regional = self.region is None or isinstance(self.region, RegionSampling)
        require(self, "region", regional, "an object with 'expand' and 'shift'")


@dataclass(frozen=True)
class StageRecipe:
    """A stage of the pipeline and how to train it.

    Args:
        stage: The stage; the spacing of its preprocessing may still be a rule of :func:`.domain_spacing`.
        training: How to train it.
    """

    stage: Stage
    training: TrainingSettings

    def at(self, spacings: Iterable[Triple]) -> StageRecipe:
        """At the spacing in mm that follows from those of the training cases, where it has a rule for it.

        Raises:
            SettingError: The rule is unknown, or there is no case.
        """
        if not self.has_rule:
            return self
        preprocessing = self.stage.preprocessing
        spacing = [round(v, 3) for v in domain_spacing(list(spacings), preprocessing["spacing"])]
        return replace(self, stage=replace(self.stage, preprocessing={**preprocessing, "spacing": spacing}))

    @property
    def has_rule(self) -> bool:
        """Whether its spacing is a rule instead of three numbers."""
        preprocessing = self.stage.preprocessing
        return isinstance(preprocessing, dict) and isinstance(preprocessing.get("spacing"), str)


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

    def at(self, spacings: Iterable[Triple]) -> Recipe:
        """As :meth:`StageRecipe.at`, all stages."""
        spacings = list(spacings) if any(stage.has_rule for stage in self.stages) else ()
        return replace(self, stages=tuple(stage.at(spacings) for stage in self.stages))

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
        return recipe_of(json.loads(Path(path).read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingError(f"The recipe {path} has a wrong or missing setting: {fault_in_settings(error)}.") from error


def recipe_of(values: dict) -> Recipe:
    """A recipe as its file says it.

    Raises:
        KeyError, TypeError, ValueError: A setting is unknown, missing or makes no sense.
    """
    _refuse_unknown("the recipe", values, Recipe)
    model = dict(values["model"])
    stages = tuple(stage_from_dict(entry) for entry in values["stages"])
    if not stages:
        raise ValueError("it has no stage")
    return Recipe(model, stages, int(values.get("seed", 0)))


def package_of(model: dict, **parts: Any) -> ModelPackage:
    """A model package as far as a recipe describes it.

    Args:
        model: The recipe's ``model``.
        parts: What else is known of the package.

    Raises:
        SettingError: The description of the model has an unknown or missing entry.
    """
    try:
        return ModelPackage(**model, **parts)
    except TypeError as error:
        reason = str(error).partition("__init__() ")[2] or error
        raise SettingError(f"The recipe does not describe the model as it must: {reason}.") from error


def stage_from_dict(entry: dict) -> StageRecipe:
    """A stage as a recipe says it.

    Raises:
        KeyError, TypeError, ValueError: A setting is unknown, missing or makes no sense.
    """
    values = dict(entry)
    training = dict(values.pop("training"))
    augmentation = _construct(Augmentation, training.pop("augmentation", {}))
    region = _construct(RegionSampling, training.pop("region")) if training.get("region") is not None else None
    settings = _construct(TrainingSettings, {**training, "augmentation": augmentation, "region": region})
    return StageRecipe(_construct(Stage, {**values, "mirror": augmentation.mirror}), settings)


def _construct(kind: type[Settings], values: dict) -> Settings:
    _refuse_unknown(kind.__name__, values, kind)
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _refuse_unknown(name: str, values: dict, kind: type[DataclassInstance]) -> None:
    known = [item.name for item in fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise KeyError(f"unknown setting {unknown} of {name}, which knows {', '.join(known)}")
