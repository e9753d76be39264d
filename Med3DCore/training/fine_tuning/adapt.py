"""Which networks a fine-tuning trains, and from which weights.

Labels that the parent knows: the stages that find them go on learning; all others stay as they are, to the last bit.
New labels get two stages of their own, a coarse and a fine one, that begin as copies of the parent's; so the parent's
stages need not change at all. An imported model decides all labels in one network, which gets classes for new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from Med3DCore.errors import DataError, SettingError
from Med3DCore.models.kinds import ENCODER
from Med3DCore.models.package import ModelPackage, name_from_title
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network
from Med3DCore.training.cases.case import Case, read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.fine_tuning.new_labels import with_new_labels
from Med3DCore.training.fine_tuning.run_folder import QUALITIES, TuneSettings
from Med3DCore.training.learning.recipe import StageRecipe, TrainingSettings
from Med3DCore.training.patches.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Tensor

_KNOWN_RATE, _NEW_RATE = 5e-4, 2e-3
_IMPORTED_RATE, _IMPORTED_NEW_RATE = 2e-4, 5e-4
_PATCH = (64, 64, 64)
_MARGIN_MM = 25.0
# A piece of an organ counts if it is as large as this part of its largest piece.
_PIECE = 0.1
_MOST_PIECES = 3
# Probability at which a new label begins: most voxels are not of it.
_PRIOR_LOGIT = -3.0


@dataclass(frozen=True)
class TunedStage:
    """A stage to train.

    Args:
        recipe: Its description and how to train it.
        initial: Weights to start from.
        is_new: Whether the parent has no such stage.
    """

    recipe: StageRecipe
    initial: dict[str, Tensor]
    is_new: bool


def tuned_stages(parent: ModelPackage, cases: Sequence[Case], settings: TuneSettings) -> list[TunedStage]:
    """The stages to train, coarse ones first.

    Args:
        parent: The model to start from.
        cases: Training cases.
        settings: The user's choices.

    Raises:
        DataError: No case shows an organ.
        SettingError: A setting is unknown or makes no sense.
    """
    names = list(dict.fromkeys(name for case in cases for name in case.annotated))
    known = [name for name in names if name in parent.label_names]
    new = [name for name in names if name not in parent.label_names]
    if not names:
        raise DataError("No case has a labelled organ; label one in at least one case.")
    stages = [stage for stage in parent.stages if set(stage.labels) & set(known)]
    if parent.is_imported:
        return [_imported_stage(parent, new, settings)]
    if any(stage.activation != "sigmoid" for stage in stages):
        raise SettingError(
            f"The labels of {parent.reference} exclude each other (softmax), which cannot be fine-tuned yet; start "
            "from another model."
        )
    tuned = [
        TunedStage(_recipe(stage, parent, settings, _KNOWN_RATE), parent.read_weights(stage.name), is_new=False)
        for stage in stages
    ]
    if new:
        tuned += _new_stages(parent, new, cases, settings)
    return tuned


def _imported_stage(parent: ModelPackage, new: Sequence[str], settings: TuneSettings) -> TunedStage:
    """The one stage of an imported model, which decides all labels at once, with classes for new ones.

    Raises:
        SettingError: It takes several images, or would have too many labels.
    """
    (stage,) = parent.stages
    channels = len(stage.preprocessing["intensity"]["channels"])
    if channels > 1:
        raise SettingError(
            f"{parent.reference} takes {channels} images of a patient; models of one image can be fine-tuned."
        )
    weights, rate = parent.read_weights(stage.name), _IMPORTED_RATE
    if new:
        stage, weights = with_new_labels(stage, weights, new, settings.seed)
        rate = _IMPORTED_NEW_RATE
    return TunedStage(_recipe(stage, parent, settings, rate), weights, is_new=False)


def _recipe(stage: Stage, parent: ModelPackage, settings: TuneSettings, rate: float) -> StageRecipe:
    before = parent.provenance.get("training", {}).get(stage.name, {})
    chosen = dict(settings.training)
    values = {
        "steps": QUALITIES[settings.quality],
        "patch": tuple(before.get("patch", stage.window if stage.is_imported else _PATCH)),
        "batch": 2,
        "learning_rate": rate,
        "warmup": 5,
        "foreground": 0.7,
        "ema": 0.98,
        # So small batches have statistics of their own, with which the network would not be used (measured: Dice
        # 0.84 with a batch's statistics, 0.25 with their running mean).
        "freeze_batch_norm": parent.kind != ENCODER,
        "validate_every": 0,
        "augmentation": Augmentation(cut=0.2, mirror=stage.mirror),
    }
    if chosen.pop("freeze_encoder", False):
        values["encoder_rate"] = 0.0
    known = sorted({item.name for item in fields(TrainingSettings)} - {"augmentation", "region"})
    for name in chosen:
        if name not in known:
            raise SettingError(f"Unknown setting '{name}' of the training; known: freeze_encoder, {', '.join(known)}.")
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    return StageRecipe(stage, TrainingSettings(**{**values, **chosen}))


def _new_stages(
    parent: ModelPackage, names: Sequence[str], cases: Sequence[Case], settings: TuneSettings
) -> list[TunedStage]:
    """A coarse and a fine stage for all new labels together."""
    looks, rules = [], {}
    for name in names:
        shown = [look for case in cases if name in case.drawn and (look := _look(case, name))]
        if not shown:
            raise DataError(f"No training case shows where '{name}' is; label it in at least one case.")
        looks += shown
        pieces = max(look.pieces for look in shown)
        if pieces <= _MOST_PIECES:
            rules[name] = {"keep_largest": pieces}
    name = name_from_title("-".join(names), longest=40)
    taken = {stage.name for stage in parent.stages}
    while {name, f"{name}-coarse"} & taken:
        name += "-2"
    coarse, fine = _templates(parent, np.median([look.values for look in looks], axis=0))

    def made_after(template: Stage, name: str, region: dict | None) -> TunedStage:
        stage = replace(
            template,
            name=name,
            network=template.network | {"out_channels": len(names)},
            labels=tuple(names),
            activation="sigmoid",
            region=region,
            postprocessing=rules,
        )
        return TunedStage(_recipe(stage, parent, settings, _NEW_RATE), _transplanted(parent, template, stage), True)

    stages = [made_after(coarse, f"{name}-coarse", None)]
    if fine is not None:
        stages.append(made_after(fine, name, {"stage": f"{name}-coarse", "margin_mm": _MARGIN_MM}))
    return stages


@dataclass(frozen=True)
class _Look:
    """What an organ looks like in a case: its darkest and brightest values, and its number of pieces."""

    values: tuple[float, float]
    pieces: int


def _look(case: Case, name: str) -> _Look | None:
    """Measured on every few voxels; None if the organ is not there."""
    image = read_image(case)
    step = tuple(slice(None, None, max(1, round(3.0 / s))) for s in image.spacing[::-1])
    mask = case.inside(read_label(case, image.geometry, names=[name]), name)[step]
    if not mask.any():
        return None
    sizes = np.bincount(ndimage.label(mask)[0].ravel())[1:]
    low, high = np.percentile(image.array[step][mask], (5, 95))
    return _Look((float(low), float(high)), int((sizes > _PIECE * sizes.max()).sum()))


def _templates(parent: ModelPackage, values: np.ndarray) -> tuple[Stage, Stage | None]:
    """The stages that new ones are made after: one for whole scans, and one that looks closely, if the parent has any.

    Args:
        parent: The parent.
        values: Usual darkest and brightest value of the new organs.
    """
    if parent.kind == ENCODER:
        if learned := parent.provenance.get("preprocessing"):  # an encoder that knows one spacing sees no other
            return _plain_stage(parent, learned), None
        return _plain_stage(parent, _usual(parent, 5.0)), _plain_stage(parent, _usual(parent, 2.5))
    wide = [stage for stage in parent.stages if stage.region is None]
    close = [stage for stage in parent.stages if stage.region is not None]
    return max(wide, key=lambda s: _visible(s, values)), max(close, key=lambda s: _visible(s, values), default=None)


def _visible(stage: Stage, values: np.ndarray) -> tuple[float, float]:
    """How much of a range of intensities a stage can tell apart, then how finely."""
    intensity = stage.preprocessing["intensity"]
    if intensity.get("name") != "window":
        return (1.0, 0.0)
    low, high = intensity["low"], intensity["high"]
    middle = min(max(float(np.mean(values)), low), high)
    inside = float(low <= values[0] and values[1] <= high) or float(low < middle < high) / 2
    return (inside, -(high - low))


def _usual(parent: ModelPackage, spacing: float) -> dict:
    """The preprocessing for an encoder that does not say what it learned from."""
    intensity = {"name": "window", "low": -160, "high": 240} if parent.modality == "CT" else {"name": "percentile"}
    return {"spacing": [spacing] * 3, "intensity": intensity}


def _plain_stage(parent: ModelPackage, preprocessing: dict) -> Stage:
    """A stage around a pre-trained encoder."""
    network = {"encoder": parent.encoder, "decoder": {"name": "skip"}, "out_channels": 1}
    return Stage("plain", network, preprocessing, (), "sigmoid", (128, 128, 128))


def _transplanted(parent: ModelPackage, template: Stage, stage: Stage) -> dict[str, Tensor]:
    """Weights of a stage's network: the parent's wherever they fit, but the last layer new."""
    network = build_network(stage.network)
    weights = network.state_dict()
    if parent.kind == ENCODER:
        given = {f"encoder.{name}": value for name, value in parent.read_weights(ENCODER).items()}
    else:
        given = parent.read_weights(template.name)
    last = [name for name in weights if name.startswith("decoder.logits")]
    for name, value in given.items():
        if name not in last and name in weights and weights[name].shape == value.shape:
            weights[name] = value
    for name in last:
        if name.endswith("bias"):
            weights[name].fill_(_PRIOR_LOGIT)
    return weights
