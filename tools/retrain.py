"""Train the shipped liver-lungs and its fast model again, from the data folder to both packages.

    python tools/retrain.py ../shared/data runs/again              # more than a day on two cores
    python tools/retrain.py ../shared/data runs/dry --steps 2      # the same way in an hour or two: does it go through?

The rounds of the cards in docs/models, one after the other, with their seeds, steps and rates. Each goes on where it
stopped when called again, and what is there is not made again. The models will be alike, not equal: the first rounds
saw fewer and differently weighted cases than these, and fluid was painted by the code of its day.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "Resources" / "Recipes"

# The model that drafted the first livers, in the history of this repository.
FIRST_DRAFTS = "552e44d:Resources/Models/liver-lungs-0.2.0.med3d.zip"

UP_TO_0_4_0 = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.3.2", "towards-0.4.0")

# What the trainings from 0.4.0 to 0.5.0 changed of the recipe towards-0.5.0: seed, of each stage that learned its
# steps, rate and average, and how much fluid was painted and how many patches had an organ cut.
TOWARDS_0_5_0: dict[str, tuple[int, dict[str, dict[str, Any]], dict[str, float]]] = {
    "round1": (5, {"coarse": {"steps": 350, "learning_rate": 0.0015}, "liver": {"steps": 1250}}, {}),
    "round2": (
        7,
        {"coarse": {"steps": 250, "learning_rate": 0.0012}, "liver": {"steps": 1100, "learning_rate": 0.0012}},
        {"fluid": 0.33},
    ),
    "round3": (
        11,
        {"coarse": {"steps": 0}, "liver": {"steps": 877, "learning_rate": 0.0012, "ema": 0.995}},
        {"fluid": 0.35, "cut": 0.5},
    ),
    "round4": (
        12,
        {"coarse": {"steps": 0}, "liver": {"steps": 1941, "learning_rate": 0.001, "ema": 0.995}},
        {"fluid": 0.4, "cut": 0.5},
    ),
}
FAST_SEED, FAST_STEPS = 21, 2419


class Retraining:
    """All rounds in one folder.

    Args:
        data: The shared data folder.
        runs: Where everything goes.
        steps: The most steps a stage learns in a round; None for as many as the cards tell.
    """

    def __init__(self, data: Path, runs: Path, steps: int | None) -> None:
        self.data, self.runs, self.steps = data.resolve(), runs.resolve(), steps
        self.runs.mkdir(parents=True, exist_ok=True)

    def run(self) -> list[Path]:
        """All of it; the two packages."""
        people = self.prepare("data", self.drafts("livers", self.first_drafts()))
        model: Path | str = "scratch"
        for version in UP_TO_0_4_0:
            model = self.train(version, recipe(f"liver-lungs-{version}"), people, model)
        old = self.adjust("adjusted", self.model("0.3.2"), "lungs", model, way=0.3, threshold=0.37)
        old = self.train("0.4.0", recipe("liver-lungs-0.4.0"), people, old)
        first = self.train("round1", changed("round1"), people, old)
        second = self.train("round2", changed("round2"), people, first)
        drafts = [self.drafts("drafts-0.4.0", old), self.drafts("drafts-round2", second)]
        people = self.prepare("data-ill", self.runs / "livers", *drafts)
        third = self.train("round3", changed("round3"), people, second)
        fourth = self.train("round4", changed("round4"), people, third)
        liver = self.adjust("liver", third, "liver", fourth)
        coarse = self.adjust("coarse", old, "coarse", second)
        both = self.adjust("both", liver, "coarse", coarse, way=1.0)
        full = self.train("0.5.0", recipe("liver-lungs"), people, both)
        return [full, self.fast(full, people)]

    def fast(self, full: Path, people: Path) -> Path:
        """The fast model: the full one's coarse stage at 4 mm, half of the way to what it learns there."""
        begun = self.train("fast-begun", recipe("liver-lungs-fast"), people, full)
        learning = recipe("liver-lungs-fast")
        learning["seed"] = FAST_SEED
        learning["stages"][0]["training"]["steps"] = FAST_STEPS
        learnt = self.train("fast-learnt", learning, people, begun)
        half = self.adjust("fast-half", begun, "coarse", learnt)
        half = self.adjust("fast-adjusted", half, "coarse", threshold=0.25, label="lungs")
        return self.train("fast", recipe("liver-lungs-fast"), people, half)

    def first_drafts(self) -> Path:
        """The model that drafted the first livers."""
        path = self.runs / "first-drafts.med3d.zip"
        if not path.exists():
            shown = subprocess.run(["git", "show", FIRST_DRAFTS], cwd=ROOT, check=True, capture_output=True)
            path.write_bytes(shown.stdout)
        return path

    def drafts(self, name: str, model: Path) -> Path:
        """Livers drafted by a model."""
        return self._once(name, "draft_livers.py", self.data, self.runs / name, "--model", model)

    def prepare(self, name: str, livers: Path, *ill: Path) -> Path:
        """A description of the cases."""
        out = self.runs / name
        self._once(name, "prepare_data.py", self.data, livers, out, *(["--ill", *ill] if ill else []))
        return out / "dataset.json"

    def train(self, name: str, settings: dict, people: Path, start: Path | str) -> Path:
        """A round; its model. Of a recipe without steps, the start with a card of its own."""
        for stage in settings["stages"] if self.steps is not None else []:
            stage["training"]["steps"] = min(stage["training"]["steps"], self.steps)
        written = self.runs / f"{name}.json"
        written.write_text(json.dumps(settings, indent=1))
        med3d = Path(sys.executable).with_name("med3d")
        call(med3d, "train", written, people, "-o", self.runs / name, "--init", start, "--name-cases")
        return self.model(name)

    def adjust(
        self,
        name: str,
        model: Path,
        stage: str,
        towards: Path | str | None = None,
        way: float = 0.5,
        threshold: float = 0.5,
        label: str | None = None,
    ) -> Path:
        """A model of which one stage moved."""
        out = self.runs / f"{name}.med3d.zip"
        others = ["--towards", towards, "--way", way] if towards else []
        others += ["--label", label] if label else []
        call(sys.executable, ROOT / "tools" / "adjust_stage.py", model, stage, out, "--threshold", threshold, *others)
        return out

    def model(self, name: str) -> Path:
        """The model of a round."""
        return next((self.runs / name).glob("*.med3d.zip"))

    def _once(self, name: str, tool: str, *arguments: object) -> Path:
        """Run a tool whose folder is not complete yet; its folder."""
        done = self.runs / f"{name}.done"
        if not done.exists():
            call(sys.executable, ROOT / "tools" / tool, *arguments)
            done.touch()
        return self.runs / name


def recipe(name: str) -> dict:
    """A recipe of the repository."""
    return json.loads((RECIPES / f"{name}.json").read_text())


def changed(name: str) -> dict:
    """The recipe of a round from 0.4.0 to 0.5.0."""
    seed, stages, painted = TOWARDS_0_5_0[name]
    settings = recipe("liver-lungs-towards-0.5.0")
    settings["seed"] = seed
    for stage in settings["stages"]:
        if stage["name"] in stages:
            stage["training"] |= stages[stage["name"]]
            stage["training"]["augmentation"] |= painted
    return settings


def call(*command: object) -> None:
    """Run a command, told before it starts; its failure ends this program."""
    words = [str(word) for word in command]
    print(" ".join(words), flush=True)
    if code := subprocess.run(words, cwd=ROOT, check=False).returncode:
        sys.exit(code)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("runs", type=Path, help="folder for data set, rounds and packages")
    parser.add_argument(
        "--steps", type=int, help="the most steps of a stage in a round, to try whether all goes through"
    )
    arguments = parser.parse_args()
    for package in Retraining(arguments.data, arguments.runs, arguments.steps).run():
        print(f"wrote {package}")


if __name__ == "__main__":
    main()
