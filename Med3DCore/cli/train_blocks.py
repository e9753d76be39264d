"""What training a classifier of points has in common with one of whole scans: cut blocks, and learn from them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from Med3DCore.cli.training import case_cache, resumable, train_as_asked

if TYPE_CHECKING:
    from torch import Tensor

    from Med3DCore.inference.device import Device
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.cases.prepared import Prepared
    from Med3DCore.training.classification.block_task import BlockTask
    from Med3DCore.training.classification.blocks import Classified
    from Med3DCore.training.learning.initialization import Start
    from Med3DCore.training.learning.recipe import StageRecipe
    from Med3DCore.training.learning.task import Trained

Made = TypeVar("Made", bound="BlockTask")


def train_blocks(
    make: Callable[[StageRecipe, list[Prepared[Classified]], int, dict[str, Tensor] | None], Made],
    stage: StageRecipe,
    cases: Sequence[Classified],
    margin: float,
    start: Start,
    seed: int,
    device: Device,
    args: argparse.Namespace,
    ranks: Ranks,
) -> tuple[Made, Trained]:
    """Learn from blocks of scans, and draw the curve.

    Args:
        make: Makes the task of recipe, blocks, seed and weights to start from.
        stage: Network, preprocessing and settings.
        cases: What to learn from, with their split.
        margin: Part of the patch that blocks have more on every side.
        start: Where to start from.
        seed: Seed.
        device: Where to compute.
        args: Output, cache, time and the like.
        ranks: This process and those beside it.

    Raises:
        Med3DError: A scan cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.preprocessing.preprocessing import Preprocessing
    from Med3DCore.training.classification.blocks import block_shape, prepare_blocks
    from Med3DCore.training.learning.curve import draw_curve
    from Med3DCore.training.learning.initialization import digest

    cache = case_cache(args)
    preprocessing = Preprocessing.from_dict(stage.stage.preprocessing)
    with resumable(args, args.output) as progress:
        with progress.stage("cut patches"):
            shape = block_shape(stage.training.patch, margin)
            blocks = prepare_blocks(cases, preprocessing, shape, cache, progress)
        task = make(stage, blocks, seed, start.weights)
        if start.weights is not None:  # so that it is not gone on with after the start was exchanged
            task.identity = [task.identity, digest(start.weights)]
        trained = train_as_asked(args, task, stage.training, args.output, seed, device, progress)
    if ranks.is_main:
        draw_curve(args.output, {task.name: args.output})
    return task, trained
