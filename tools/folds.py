"""Cross-validation by patient: everybody's outlined organ, found by a model that never saw that person.

    python tools/prepare_data.py ../shared/data runs/livers runs/data
    python tools/folds.py split runs/data/dataset.json runs/folds
    cd runs/folds
    med3d train ../../Resources/Recipes/folds-start.json start.json -o start
    for fold in 1 2; do
        med3d train ../../Resources/Recipes/folds.json fold$fold.json -o $fold --init start/*.med3d.zip
        med3d train ../../Resources/Recipes/folds-second.json fold$fold.json -o ${fold}b --init $fold/*.med3d.zip
        med3d train ../../Resources/Recipes/folds-third.json fold$fold.json -o ${fold}c --init ${fold}b/*.med3d.zip
    done
    python ../../tools/folds.py table SHIPPED.med3d.zip 1c/*.med3d.zip 2c/*.med3d.zip

In the first two rounds people's livers were drawn three times, their lungs twice as often as drafts, as prepare_data.py
said then (``git show 2daba91:tools/prepare_data.py``).

The shipped model is fold 0: it was trained without the patients of the data folder's own validation split. The other
folds start from one network that saw none of the patients of any fold.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from Med3DCore.models import load_package

# Who is held out, beside the patients of the data folder's own validation split (fold 0). Livers with and without
# approximate HU, thin and thick slices, and lungs of both series are in each.
HELD_OUT = (
    {"lits_A", "lits_03", "lits_w1", "lctsc_s1-101", "lctsc_s1-201"},
    {"lits_05", "lits_B", "lits_w2", "lctsc_s1-102", "lctsc_s1-103", "lctsc_s1-202"},
)
MEASURES = {"dice": "Dice", "assd_mm": "ASSD mm", "hd95_mm": "HD95 mm"}


def split(entries: Sequence[dict], folder: Path, out: Path) -> None:
    """Write the lists of cases: ``start.json`` with nobody of any fold, ``fold1.json``, ``fold2.json``."""
    entries = [entry | {kind: _moved(entry[kind], folder, out) for kind in ("image", "label")} for entry in entries]
    people = set().union(*HELD_OUT, {e["patient"] for e in entries if e["split"] == "validation"})
    lists = {"start.json": [entry for entry in entries if entry.get("patient") not in people]}
    for number, held_out in enumerate(HELD_OUT, start=1):
        lists[f"fold{number}.json"] = list(fold(entries, held_out))
    for name, cases in lists.items():
        (out / name).write_text(json.dumps({"cases": cases}, indent=1))
        print(f"{out / name}: {sum(case['split'] == 'training' for case in cases)} of {len(cases)} cases train")


def fold(entries: Iterable[dict], held_out: set[str]) -> Iterable[dict]:
    """All cases, but of held-out patients only the whole scans and what people outlined in them, to check on."""
    for entry in entries:
        if entry.get("patient") not in held_out:
            yield entry | {"split": "training"}
        elif not entry["name"].endswith(("_upper", "_lower")):
            drafted = [organ for organ in entry["annotated"] if f"{organ}: " in entry["source"]["labels"]]
            annotated = [organ for organ in entry["annotated"] if organ not in drafted]
            yield entry | {"split": "validation", "annotated": annotated}


def _moved(path: str, folder: Path, out: Path) -> str:
    return os.path.relpath((folder / path).resolve(), out.resolve())


def table(models: Sequence[Path]) -> str:
    """Markdown: every held-out case as its fold's model found it; by organ mean and worst, by case and by patient."""
    packages = [load_package(path) for path in models]
    lines = []
    for organ in packages[0].label_names:
        rows = {
            case: {**values, "fold": number}
            for number, package in enumerate(packages)
            for case, values in package.metrics.get(organ, {}).items()
        }
        titles = ["case", "fold", *MEASURES.values(), "volume mL", "reference mL"]
        lines += [f"### {organ}", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        for case, row in sorted(rows.items()):
            numbers = [f"{row[key]:.3f}" if key == "dice" else f"{row[key]:.2f}" for key in MEASURES]
            volumes = [f"{row[key]:.0f}" for key in ("volume_ml", "reference_volume_ml")]
            lines.append(f"| {case} | {row['fold']} | {' | '.join(numbers + volumes)} |")
        dices = {case: row["dice"] for case, row in rows.items()}
        lines += ["", f"Dice by case: {_summary(dices.values())}; by patient: {_summary(_by_patient(dices))}.", ""]
    return "\n".join(lines)


def _by_patient(dices: dict[str, float]) -> list[float]:
    """The mean of each patient's scans: several scans of one person are no more people."""
    patients: dict[str, list[float]] = {}
    for case, dice in dices.items():
        patients.setdefault(_SAME_PERSON.get(case, case), []).append(dice)
    return [mean(values) for values in patients.values()]


_SAME_PERSON = {"lits_00": "lits_A", "lits_01": "lits_A"} | {f"lits_{n:02}": "lits_B" for n in range(6, 11)}


def _summary(values: Iterable[float]) -> str:
    values = list(values)
    return f"mean {mean(values):.3f}, worst {min(values):.3f}, n = {len(values)}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("split", help="write the lists of cases")
    make.add_argument("data", type=Path, help="dataset.json of prepare_data.py")
    make.add_argument("out", type=Path, help="folder for the lists")
    show = commands.add_parser("table", help="print the metrics of all folds")
    show.add_argument("models", type=Path, nargs="+", help="the models in the order of the folds")
    arguments = parser.parse_args()
    if arguments.command == "split":
        arguments.out.mkdir(parents=True, exist_ok=True)
        entries = json.loads(arguments.data.read_text())["cases"]
        split(entries, arguments.data.parent, arguments.out)
    else:
        print(table(arguments.models))


if __name__ == "__main__":
    main()
