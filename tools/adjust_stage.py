"""Move a stage of a model, without training: part of the way to another model's weights, or its threshold, or both.

    python tools/adjust_stage.py OLD.med3d.zip lungs OUT.med3d.zip --towards NEW.med3d.zip --way 0.3 --threshold 0.37
    med3d train Resources/Recipes/liver-lungs.json runs/data/dataset.json -o runs/adjusted --init OUT.med3d.zip

The way is that of ``Med3DCore/training/fine_tuning/blend.py``; the other model must have learned on from this one. What
was more likely than the threshold is more likely than 0.5 in the new model: the bias of its logits grows by
ln((1 - t) / t).
The second line trains nothing: it measures the model and writes its card.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.training.fine_tuning.blend import blend

BIAS = "decoder.logits.0.bias"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path)
    add("stage", help="its name; of independent labels (sigmoid), with the skip decoder")
    add("output", type=Path)
    add("--towards", type=Path, help="model whose weights of this stage to go towards")
    add("--way", type=float, default=0.5, help="how far, from 0 to 1 (default: %(default)s)")
    add("--threshold", type=float, default=0.5, help="probability at which the organ ends (default: %(default)s)")
    add("--label", help="the organ whose threshold moves (default: all of the stage)")
    arguments = parser.parse_args()
    package = load_package(arguments.model)
    weights = {part: package.read_weights(part) for part in package.parts}
    stage = weights[arguments.stage]
    if arguments.towards:
        stage = blend(stage, load_package(arguments.towards).read_weights(arguments.stage), arguments.way)
    labels = next(each.labels for each in package.stages if each.name == arguments.stage)
    moved = torch.tensor([arguments.label in (None, label) for label in labels])
    stage[BIAS] = stage[BIAS] + moved * math.log((1 - arguments.threshold) / arguments.threshold)
    weights[arguments.stage] = stage
    print(f"wrote {save_package(package, weights, arguments.output)}")


if __name__ == "__main__":
    main()
