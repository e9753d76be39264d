"""How often is a header that lies found, and how often is an honest one doubted? Patients that the network never saw.

    python Testing/benchmarks/orientation.py ../shared/data --json orientation.json

Each CT is looked at whole, and as if it showed the chest or the abdomen alone (the upper and the lower half of scans of
240 mm and more), as it is and in all seven flips, by the one of the shipped networks that was taught without this
patient (scans that no network was taught with: by all). Prints for limits on the lead of the better copy: found of the
wrong ones, false alarms among the right ones, and the right axes among all wrong ones. The limit is then chosen once
for each patient on all others: the largest that finds 97 % of what is wrong there; what that limit does to the patient
left out is the last line. The interval is Wilson's, of patients, of whom all scans and flips count in part.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from Med3DCore.inference import orientation
from Med3DCore.io import read_volume
from Med3DCore.volume import Volume

HALVES_MM = 240.0
LIMITS = (0.0, 0.5, 1.0, 1.5, 2.0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json and CASE_ct.nii.gz")
    parser.add_argument("--json", type=Path, help="also write the votes here")
    arguments = parser.parse_args()
    with np.load(orientation.WEIGHTS, allow_pickle=False) as stored:
        member_of = {case: int(fold) for case, fold in stored["left_out"]}
    rows, seconds = [], []
    for case, facts in json.loads((arguments.data / "index.json").read_text()).items():
        whole = read_volume(arguments.data / f"{case}_ct.nii.gz")
        for part, volume in parts(whole):
            began = time.perf_counter()
            orientation.doubted_axes(volume)
            seconds.append(time.perf_counter() - began)
            body = orientation.prepare(volume)
            if body is None:
                print(f"{case} {part}: nothing is said")
                continue
            voters = [orientation.members()[member_of[case]]] if case in member_of else orientation.members()
            votes = np.mean([orientation.scores(member, body) for member in voters], axis=0)
            rows.append({"case": case, "patient": facts["patient"], "part": part, "votes": votes.tolist()})
    for part in dict.fromkeys(row["part"] for row in rows):
        tell(part, [row for row in rows if row["part"] == part])
    tell("all", rows)
    print(f"seconds a scan: mean {np.mean(seconds):.3f}, most {max(seconds):.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def parts(whole: Volume) -> Iterator[tuple[str, Volume]]:
    """The scan, and its halves if it is long; stored along the patient's axes."""
    yield "whole", whole
    slices = len(whole.array)
    if slices * whole.spacing[2] >= HALVES_MM:
        for part, first, stop in (("lower half", 0, slices // 2), ("upper half", slices // 2, slices)):
            grid = whole.geometry.crop((0, 0, first), (*whole.geometry.size[:2], stop))
            yield part, Volume(whole.array[first:stop], grid, whole.name)


def measure(votes: np.ndarray, limit: float) -> tuple[float, float, float]:
    """Of one scan: found of the seven flips, false alarm or none, right axes of the seven flips."""
    lead = votes.max() - votes
    found = lead[1:] > limit
    return float(found.mean()), float(lead[0] > limit), float((found & (votes.argmax() == 0)).mean())


def by_patient(rows: list[dict], limit: Callable[[str], float]) -> np.ndarray:
    """Means of :func:`measure` for each patient, ``[patient, 3]``."""
    patients = dict.fromkeys(row["patient"] for row in rows)
    return np.array(
        [
            np.mean([measure(np.array(row["votes"]), limit(p)) for row in rows if row["patient"] == p], axis=0)
            for p in patients
        ]
    )


def tell(part: str, rows: list[dict]) -> None:
    """One table."""
    print(f"{part}: {len(rows)} scans of {len({row['patient'] for row in rows})} patients, {7 * len(rows)} wrong ones")
    for limit in LIMITS:
        line(f"limit {limit}", rows, lambda _, limit=limit: limit)
    chosen = {p: choose([row for row in rows if row["patient"] != p]) for p in {row["patient"] for row in rows}}
    line(f"chosen on the others ({min(chosen.values()):.2f} to {max(chosen.values()):.2f})", rows, chosen.__getitem__)


def choose(rows: list[dict]) -> float:
    """The largest limit that finds 97 % of the wrong ones."""
    lead = np.concatenate([np.max(row["votes"]) - np.array(row["votes"])[1:] for row in rows])
    return float(np.quantile(lead, 0.03))


def line(title: str, rows: list[dict], limit: Callable[[str], float]) -> None:
    """Shares over scans, and their intervals."""
    scans = np.array([measure(np.array(row["votes"]), limit(row["patient"])) for row in rows]).mean(axis=0)
    patients = by_patient(rows, limit)
    shown = [
        f"{name} {100 * share:.1f} % ({low:.0f} to {high:.0f})"
        for name, share, (low, high) in zip(
            ("found", "false alarms", "right axes"), scans, (wilson(each) for each in patients.T), strict=True
        )
    ]
    print(f"  {title}: " + ", ".join(shown))


def wilson(shares: np.ndarray, z: float = 1.96) -> tuple[float, float]:
    """95 % interval in percent of a mean share of patients."""
    n, p = len(shares), float(np.mean(shares))
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * (middle - half) / (1 + z * z / n), 100 * (middle + half) / (1 + z * z / n)


if __name__ == "__main__":
    main()
