"""What a stage and its cases must be like for a training to make sense: refused before the first step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from Med3DCore.errors import DataError, SettingError
from Med3DCore.inference.postprocessing import Cleaning
from Med3DCore.inference.sliding_window import LEAST_WINDOW
from Med3DCore.models.kinds import KINDS
from Med3DCore.models.stage import BACKGROUND, Stage
from Med3DCore.networks import build_network
from Med3DCore.networks.checks import check_choice, check_counts
from Med3DCore.networks.factory import last_stride
from Med3DCore.networks.layers import per_axis
from Med3DCore.preprocessing.imported import any_preprocessing
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.learning.recipe import StageRecipe


def check_stage(recipe: StageRecipe) -> None:
    """Refuse a stage that cannot be trained or used, before any case is read.

    Raises:
        SettingError: Preprocessing, network, post-processing, patch or labels make no sense.
    """
    stage = recipe.stage
    any_preprocessing(stage.preprocessing)
    build_network(stage.network)
    for rules in stage.postprocessing.values():
        Cleaning.from_dict(rules)
    if stage.network["out_channels"] != len(stage.labels):
        raise SettingError(
            f"Stage '{stage.name}' has {len(stage.labels)} labels but {stage.network['out_channels']} output channels."
        )
    check_counts(f"The window of stage '{stage.name}'", stage.window, 3)
    check_choice(f"The activation of stage '{stage.name}'", stage.activation, ("sigmoid", "softmax"))
    _check_channels(recipe)
    if stage.network["decoder"].get("name") not in KINDS:
        _check_segmenting(stage)
    require_room(recipe)


def _check_channels(recipe: StageRecipe) -> None:
    """As many named channels as the encoder takes; only a segmentation takes several."""
    stage, augmentation = recipe.stage, recipe.training.augmentation
    channels, named = stage.network["encoder"].get("in_channels", 1), stage.preprocessing["intensity"].get("channels")
    if channels != len(named or [1]):
        raise SettingError(
            f"Stage '{stage.name}' wants an image of {channels} channels, but its preprocessing names "
            f'{len(named or [1])}; name them in \'intensity\', such as "channels": ["t1", "t2"], or set in_channels of '
            "the encoder to 1."
        )
    if channels > 1 and stage.network["decoder"].get("name") in KINDS:
        raise SettingError(f"Stage '{stage.name}' classifies or detects, for which one channel is possible.")
    if channels > 1 and (augmentation.organ_shift or augmentation.lesions or augmentation.fluid or augmentation.bowel):
        raise SettingError(
            f"Stage '{stage.name}' takes {channels} channels, in which disease cannot be painted; leave organ_shift, "
            "lesions, fluid and bowel out."
        )


def _check_segmenting(stage: Stage) -> None:
    if (stage.activation == "softmax") != (stage.labels[0] == BACKGROUND) or BACKGROUND in stage.labels[1:]:
        raise SettingError(
            f"Stage '{stage.name}' has the activation {stage.activation} and the labels {', '.join(stage.labels)}; "
            f"'{BACKGROUND}' must be the first of them with softmax, and none with sigmoid."
        )
    if min(stage.window) < LEAST_WINDOW and not stage.is_imported:  # whose windows are its patches, also of one slice
        raise SettingError(
            f"The window of stage '{stage.name}' is {list(stage.window)}; it must be at least {LEAST_WINDOW} voxels "
            "along each axis. Patches may be smaller."
        )


def require_room(recipe: StageRecipe) -> None:
    """Batch norm needs more than one value, also on the encoder's coarsest grid.

    Raises:
        SettingError: Patch and batch leave it just one.
    """
    stride = last_stride(recipe.stage.network["encoder"])
    patch, batch = recipe.training.patch, recipe.training.batch
    if batch * math.prod(math.ceil(size / step) for size, step in zip(patch, per_axis(stride), strict=True)) == 1:
        raise SettingError(
            f"Stage '{recipe.stage.name}': a batch of one patch of {tuple(patch)} voxels is a single voxel on the "
            f"encoder's last grid, of stride {stride}; use a larger patch, a larger batch or a smaller stride."
        )


def require_apart(cases: Sequence[Prepared], labels: Sequence[str]) -> None:
    """Refuse labels that overlap, of which a network with softmax could learn but one.

    Raises:
        DataError: Two labels of a case share voxels.
    """
    for case in cases:
        inside = case.target == 1
        for second in range(1, len(labels)):
            for first in range(second):
                if (inside[first] & inside[second]).any():
                    raise DataError(
                        f"Case '{case.case.name}': '{labels[first]}' and '{labels[second]}' share voxels, but with "
                        "softmax a voxel has one label; use the activation sigmoid, or labels that do not overlap."
                    )


def require_taught(cases: Sequence[Prepared], channels: Mapping[str, int]) -> None:
    """Refuse labels of which nobody shows where they are.

    Args:
        cases: All cases.
        channels: Label name to its channel in the targets.

    Raises:
        DataError: No training case shows one of the labels.
    """
    training = [case for case in cases if case.case.split == "training"]
    for name, channel in channels.items():
        if not any((case.target[channel] == 1).any() for case in training):
            raise DataError(f"No training case shows where '{name}' is; label it in at least one case.")
