"""A worker whose trainings are known: the real server and exchange, but a dozen steps in place of networks, no torch.

What to do comes in the field ``title``: most are done at once; "slow" takes ten seconds and can be paused; "refuse"
fails; "crash" dies; "wrong" finds liver where there is none. A state is kept in the training's folder, as the
real one does.
"""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from Med3DCore.errors import DataError
from Med3DCore.labels import LABELS
from Med3DCore.models.folders import trainings_folder
from Med3DCore.volume import LabelMap
from Med3DCore.worker.connection import Connection
from Med3DCore.worker.exchange import read_volume_array, write_volume_array
from Med3DCore.worker.registry import find_handler
from Med3DCore.worker.requests.train import refuse_untouched
from Med3DCore.worker.server import Server

STEPS = 12


@dataclass(frozen=True)
class TrainFields:
    folder: str
    cases: list | None = None
    model: str | None = None
    title: str = ""
    minutes: float = 10
    quality: str = "balanced"
    seed: int = 0
    device: str = "auto"
    settings: dict = field(default_factory=dict)
    take_untouched: bool = False
    finish: bool = False


@dataclass(frozen=True)
class NoFields:
    pass


def train(fields, job):
    folder = Path(fields.folder)
    if fields.cases and not fields.take_untouched:
        refuse_untouched(fields.cases)
    state = start(fields, folder) if fields.cases is not None else json.loads((folder / "state.json").read_text())
    if state["title"] == "refuse":
        raise DataError("No case shows the liver; label it in at least one case.")
    with job.progress.stage("train", share=1.0):
        while state["step"] < STEPS and not fields.finish:
            state["step"] += 1
            (folder / "state.json").write_text(json.dumps(state))
            if state["title"] == "crash" and state["step"] == 5:
                os.abort()
            tell(job, state)
            job.progress.update(state["step"] / STEPS)
            time.sleep(0.8 if state["title"] == "slow" else 0.01)
    state["state"] = "finished"
    (folder / "state.json").write_text(json.dumps(state))
    names = list(state["scores"]) or ["liver"]
    labels = [LABELS[name].to_dict() if name in LABELS else state["own"][name] for name in names]
    unproven = "It learned from one case." if state["title"] == "unproven" else None
    model = {"title": state["title"], "description": "", "labels": labels}
    return {
        "model": {
            "reference": "ours-1.0.0",
            "path": "",
            "shipped": False,
            "problem": None,
            "unproven": unproven,
            "imported": False,
            "model": model,
        },
        "before": {name: dict.fromkeys(cases, 0.8) for name, cases in state["scores"].items()},
        "after": state["scores"],
        "false_positive_ml": state.get("wrong", {"before": {}, "after": {}}),
        "warnings": [] if state["held_out"] else ["There was no case to check on."],
        "steps": state["step"],
        "folder": str(folder),
        "held_out": state["held_out"],
        "curve": None,
    }


def start(fields, folder):
    """Keep what is needed to go on; the last case is checked on if there are three."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")  # as every training has it
    (folder / "request.json").write_text(json.dumps({**vars(fields), "cases": fields.cases}))
    state = {"title": fields.title, "state": "unfinished", "step": 0, "model": fields.model, "minutes": fields.minutes}
    state |= {"cases": [case["name"] for case in fields.cases], "held_out": [], "scores": {}, "own": {}}
    for case in fields.cases:
        for label in case["labels"]["labels"] if "labels" in case else ():
            state["own"][label["name"]] = label
    if fields.title == "wrong":
        state["wrong"] = {"before": {"liver": {"CT 3": 30.46}}, "after": {"liver": {"CT 3": 12.0, "CT 4": 0.0}}}
    checked = [case for case in fields.cases if case["held_out"]] or fields.cases[2:3]
    for case in checked:
        state["scores"] |= {name: {case["name"]: 0.9} for name in case["annotated"]}
        if "labels" in case:
            after = read_volume_array(case["labels"])
            before = LabelMap(after.array.copy(), after.geometry, "before", after.labels)
            before.array[:, :, : before.array.shape[2] // 2] = 0
            described = {"before": before, "after": after}
            described = {when: write_volume_array(labels, folder, when) for when, labels in described.items()}
            state["held_out"].append({"name": case["name"], **described})
    return state


def tell(job, state):
    scores = state["scores"] if state["step"] % 4 == 0 else None
    job.progress.metric(state["step"], 1 / state["step"], scores)


def trainings(fields, job):
    listed = []
    for path in sorted(trainings_folder().glob("*/state.json"), reverse=True):
        state = json.loads(path.read_text())
        common = {name: state[name] for name in ("title", "state", "step", "minutes", "cases", "model")}
        listed.append(common | {"folder": str(path.parent), "steps": STEPS, "updated": "2026-11-21T11:30:00"})
    return {"trainings": listed}


KNOWN = {"train": (TrainFields, train), "trainings": (NoFields, trainings)}


def find(kind):
    return SimpleNamespace(Fields=KNOWN[kind][0], run=KNOWN[kind][1]) if kind in KNOWN else find_handler(kind)


if __name__ == "__main__":
    sys.exit(Server(Connection.take_over(), 600.0, find).run())
