"""How much does a model lose on livers that are ill and in scans that are noisy?

    python Testing/benchmarks/sick_scans.py runs/data/dataset.json --json sick.json
    python Testing/benchmarks/sick_scans.py runs/data/dataset.json --model OTHER.med3d.zip --split training

Takes the whole scans whose liver a person outlined, of the validation cases (or, to choose something by, of the
training cases), and paints into each one kind of disease or noise at a time (``sickness.py``); seeded, the same for
each model. Prints Dice against the labels, the volume's error, and which warnings came; then mean, worst and largest
loss by kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from hard_scans import Scan, Score, line, measure, summary
from sickness import SICK

from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import Catalogue
from Med3DCore.training.cases.description import read_cases

ORGAN = "liver"
PLAIN = "as it is"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data set description, as prepare_data.py writes it")
    parser.add_argument("--split", choices=("validation", "training"), default="validation")
    parser.add_argument("--case", nargs="*", help="only these cases")
    parser.add_argument("--kind", nargs="*", choices=list(SICK), help="only these kinds")
    parser.add_argument("--model", help="name or file of a model (default: the shipped one)")
    parser.add_argument("--json", type=Path, help="also write the scores here")
    arguments = parser.parse_args()
    pipeline = Pipeline(Catalogue().choose([ORGAN], arguments.model), choose_device())
    scores, volumes = [], {}
    for scan in outlined(arguments.data, arguments.split, arguments.case):
        for kind in (PLAIN, *(arguments.kind or SICK)):
            sick = scan if kind == PLAIN else SICK[kind](scan)
            scores.append(measure(pipeline, kind, sick))
            true_ml = float(sick.truth.sum()) * scan.volume.geometry.voxel_volume_ml
            volumes.setdefault(kind, []).append(scores[-1].ml / true_ml - 1)
            print(f"{line(scores[-1])}  volume {volumes[kind][-1]:+.1%}", flush=True)
    print(*summary(scores), sep="\n")
    print(*by_kind(scores, volumes), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(score) for score in scores], indent=1))


def outlined(data: Path, split: str, names: list[str] | None) -> Iterator[Scan]:
    """The whole scans of a split in which a person outlined the liver."""
    for case in read_cases(data):
        by = case.source.get("labels", "")
        by_people = f"{ORGAN}: " not in by and "exact" not in by
        is_whole = not case.name.endswith(("_upper", "_lower"))
        is_wanted = case.split == split and ORGAN in case.annotated and (not names or case.name in names)
        if by_people and is_whole and is_wanted:
            yield Scan(read_volume(case.image), ORGAN, case.inside(read_label_map(case.label), ORGAN))


def by_kind(scores: list[Score], volumes: dict[str, list[float]]) -> Iterator[str]:
    """Mean loss of Dice, and mean error of the volume, by kind; last the mean over kinds."""
    plain = {score.case: score.dice for score in scores if score.change == PLAIN}
    losses = {kind: [plain[s.case] - s.dice for s in scores if s.change == kind] for kind in volumes}
    for kind, values in losses.items():
        yield f"{kind:32} mean loss {np.mean(values):+.3f}, volume {np.mean(volumes[kind]):+.1%}"
    sick = [np.mean(values) for kind, values in losses.items() if kind != PLAIN]
    if sick:
        yield f"{'all kinds':32} mean loss {np.mean(sick):+.3f}"


if __name__ == "__main__":
    main()
