"""``med3d train`` of a recipe whose network is a detector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from Med3DCore.cli.console import say
from Med3DCore.cli.training import case_cache, resumable, train_as_asked, warn_of
from Med3DCore.errors import SettingError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.detection.key_slices import KeySlice
    from Med3DCore.training.learning.recipe import Recipe


def train_detector(
    recipe: Recipe, read_cases: Callable[[], list[KeySlice]], args: argparse.Namespace, ranks: Ranks
) -> int:
    """Train it, then publish; called again, it goes on where it was stopped.

    Args:
        recipe: The recipe.
        read_cases: Reads the slices, with their split; called once the recipe is found to be whole.
        args: As for :func:`Med3DCore.cli.train.train_segmentation`.
        ranks: This process and those beside it.

    Raises:
        Med3DError: Recipe or data cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.inference.device import choose_device
    from Med3DCore.inference.find_boxes import box_device
    from Med3DCore.preprocessing.preprocessing import Preprocessing
    from Med3DCore.training.detection.detection import DetectionTask, detector_stage
    from Med3DCore.training.detection.publish_detector import describe_detector, publish_detector, summary
    from Med3DCore.training.detection.stacks import prepare_stacks
    from Med3DCore.training.learning.curve import draw_curve
    from Med3DCore.training.learning.initialization import digest, find_starts
    from Med3DCore.training.segmentation.checks import check_stage

    if args.stage:
        raise SettingError("A detector has one stage; leave --stage out.")
    stage, device = detector_stage(recipe), box_device(choose_device(ranks.device(args.device)))
    check_stage(stage)
    cases = read_cases()
    (start,) = find_starts(args.init, [stage.stage])
    warn_of(start)
    package = describe_detector(recipe, cases, start.source, args.name_cases)
    held_out = sum(case.split == "validation" for case in cases)
    print(f"{sum(len(case.boxes) for case in cases)} lesions in {len(cases)} slices, {held_out} of them held out")
    print(f"from {start.source}")
    cache = case_cache(args)
    with resumable(args, args.output) as progress:
        with progress.stage("prepare cases"):
            preprocessing = Preprocessing.from_dict(stage.stage.preprocessing)
            stacks = prepare_stacks(cases, preprocessing, stage.stage.window[0], cache, progress)
        task = DetectionTask(stage, stacks, recipe.seed, start.weights)
        if start.weights is not None:  # so that it is not gone on with after the start was exchanged
            task.identity = [task.identity, digest(start.weights)]
        trained = train_as_asked(args, task, stage.training, args.output, recipe.seed, device, progress)
        if ranks.is_main:
            draw_curve(args.output, {task.name: args.output})
            file, report = publish_detector(package, task, trained.weights, args.output, device, progress)
    if ranks.is_main:
        print(f"{trained.steps} steps\n{summary(report)}\nwrote {file}")
    return 0


def key_slices(args: argparse.Namespace) -> list[KeySlice]:
    """The slices of the table, split as published or as a file says."""
    from Med3DCore.training.cases.splits import apply_split
    from Med3DCore.training.detection.key_slices import read_key_slices

    reading = Progress()
    cases = read_key_slices(args.data, own_split=bool(args.splits), progress=reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    return apply_split(cases, args.splits, args.fold) if args.splits else cases
