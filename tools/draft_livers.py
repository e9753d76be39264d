"""Draft the livers of CTs in which nobody labelled one, for people to look at.

    python tools/draft_livers.py ../shared/data runs/livers --model liver-lungs-0.2.0

writes ``<case>_liver.nii.gz`` and ``<case>.png`` for every training CT without a liver label. Look at the pictures, and
name the good ones in ``prepare_data.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from Med3DCore.drawing.picture import write_picture
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume, write_label_map


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("out", type=Path, help="folder for drafts and pictures")
    parser.add_argument("--model", help="name or file of the model that drafts; the newest if left out")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, info in json.loads((arguments.data / "index.json").read_text()).items():
        if info["split"] != "training" or "liver" in info["annotated"]:
            continue
        volume = read_volume(arguments.data / info["ct"])
        result = segment(volume, ["liver"], arguments.model)
        write_label_map(result.labels, arguments.out / f"{name}_liver.nii.gz")
        write_picture(volume, result.labels, arguments.out / f"{name}.png")
        print(f"{name}: {result.labels.volume_ml('liver'):.0f} mL. {' '.join(result.warnings)}", flush=True)


if __name__ == "__main__":
    main()
