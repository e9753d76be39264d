"""``med3d classify scan``: ask a classifier what a whole scan shows, and where; and train one for a task."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.not_ct import add_not_ct, require_kind
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.inference.classify_scan import ScanAnswer
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.classification.classified import Scan
    from Med3DCore.training.learning.recipe import Recipe


def add_scan(action: argparse.ArgumentParser) -> None:
    """The options of ``med3d classify scan``."""
    add = action.add_argument
    add("model", help="name, name-version or file of a classifier of whole scans, such as `med3d task train` makes")
    add("scan", type=path, help="image file or DICOM folder")
    add("-o", "--output", type=path, metavar="FILE", help="also write the probabilities: .json or .csv")
    add("--map", type=path, metavar="FILE", help="write where it was seen, on the scan's grid: .nii.gz, .nrrd, .mha")
    add("--picture", type=path, metavar="FILE", help="draw that over the scan: .png")
    add("--of", metavar="LABEL", help="class or label of map and picture (default: the likeliest)")
    add_not_ct(action)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    add("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_ask)


def _ask(args: argparse.Namespace) -> int:
    from Med3DCore.drawing.class_map import write_class_map
    from Med3DCore.drawing.figure import require_matplotlib
    from Med3DCore.inference.classify_scan import ScanClassifier
    from Med3DCore.inference.device import choose_device
    from Med3DCore.io import check_output, read_volume, write_volume
    from Med3DCore.models import Catalogue
    from Med3DCore.volume import Volume

    if args.output:
        check_output(args.output, (".json", ".csv"))
    if args.map:
        check_output(args.map)
    if args.picture:
        check_output(args.picture, (".png",))
        require_matplotlib()
    package = Catalogue().find(args.model)
    classifier = ScanClassifier(package, choose_device(args.device))
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        with progress.stage("read scan", share=0.7):
            volume = read_volume(args.scan, progress=progress)
            require_kind(volume, package, progress, args.not_ct)
        with progress.stage("look at the scan", share=0.3):
            answer = classifier.classify(volume)
    finally:
        bar.close()
    classifier.warn_of_unseen(volume, progress)
    for sentence in progress.warnings:
        say(f"Warning: {sentence}")
    wanted = args.of or answer.likeliest
    for name, value in sorted(answer.probabilities.items(), key=lambda each: -each[1]):
        print(f"{name}: {value:.3f}")
    if args.map or args.picture:
        evidence = Volume(answer.map_on(wanted, volume.geometry), volume.geometry, wanted)
        if args.map:
            write_volume(evidence, args.map)
        if args.picture:
            window = classifier.preprocessing.intensity.measure(volume)
            title = f"{volume.name}: {wanted} {answer.probabilities[wanted]:.2f}"
            write_class_map(volume, evidence, (window.low, window.high), title, args.picture)
    if args.output:
        _write(answer, package.reference, volume.name, args.output)
    return 0


def _write(answer: ScanAnswer, model: str, scan: str, file: Path) -> None:
    from Med3DCore.io import written_beside

    if file.suffix.lower() == ".json":
        about = {"model": model, "scan": scan, "answer": answer.called, "probabilities": answer.probabilities}
        text = json.dumps(about, indent=1) + "\n"
    else:
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["scan", *answer.probabilities])
        rows.writerow([scan, *answer.probabilities.values()])
        text = table.getvalue()
    with written_beside(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def train_scan_classifier(
    recipe: Recipe, read_scans: Callable[[], list[Scan]], args: argparse.Namespace, ranks: Ranks
) -> int:
    """Train a classifier of whole scans, then publish.

    Args:
        recipe: The recipe.
        read_scans: Reads the scans, with their split; called once the recipe is found to be whole.
        args: Where to, from what, how long; the options of ``med3d task train``.
        ranks: This process and those beside it.

    Raises:
        Med3DError: Recipe or data cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.cli.train_blocks import train_blocks
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.classification.blocks import AROUND_SCAN
    from Med3DCore.training.classification.publish_scans import describe_scan_classifier, publish_scan_classifier
    from Med3DCore.training.classification.scan_task import ScanTask, scan_stage
    from Med3DCore.training.learning.initialization import find_starts
    from Med3DCore.training.segmentation.checks import check_stage

    device = choose_device(ranks.device(args.device))
    stage = scan_stage(recipe, recipe.stages[0].stage.labels)
    check_stage(stage)
    scans = read_scans()
    (start,) = find_starts(args.init, [stage.stage])
    package = describe_scan_classifier(recipe, scans, start.source)
    print(f"{len(scans)} scans, {sum(s.split == 'validation' for s in scans)} to watch; from {start.source}")
    task, trained = train_blocks(ScanTask, stage, scans, AROUND_SCAN, start, recipe.seed, device, args, ranks)
    if task.never_shown:
        say(f"Warning: No training scan shows {', '.join(task.never_shown)}; of that nothing could be learned.")
    if ranks.is_main:
        file, report = publish_scan_classifier(package, task, trained.weights, args.output, device)
        print(f"{trained.steps} steps")
        for name, figure in report.figures().items() if report else ():
            print(f"{name}: {figure}")
        print(f"wrote {file}")
    return 0
