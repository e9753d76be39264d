"""Put what a training logged into one small JSON file for docs/experiments: losses, scores, times.

python Testing/benchmarks/record_training.py runs/phantoms8/run docs/experiments/phantoms8.json "the command"
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from Med3DCore.training.learning.checkpoint import LOG, read_log

_STEPS = 50


def record(folder: Path, command: str) -> dict:
    """The mean loss of every 50 steps, and every validation with each case's Dice.

    Args:
        folder: With the training's log.
        command: What was run.
    """
    entries = read_log(folder / LOG)
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    blocks = [losses[first : first + _STEPS] for first in range(0, len(losses), _STEPS)]
    return {
        "command": command,
        "steps": len(losses),
        "seconds": entries[-1]["seconds"],
        f"mean loss of {_STEPS} steps": [round(sum(block) / len(block), 4) for block in blocks],
        "validations": [entry for entry in entries if "validation" in entry],
    }


if __name__ == "__main__":
    run, output, said = sys.argv[1:]
    Path(output).write_text(json.dumps(record(Path(run), said), indent=1) + "\n")
