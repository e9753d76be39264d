"""The chain of trainings that made the shipped models holds together: what a round starts from is made before it."""

import json
from pathlib import Path

import pytest

from Med3DCore.training.learning.recipe import read_recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def retrain(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import retrain

    return retrain


@pytest.fixture
def calls(retrain, monkeypatch):
    """Commands that would run; each needs its files, and makes what the real one would make."""
    calls = []

    def call(*command):
        calls.append(words := [str(word) for word in command])
        tool = Path(words[1]).name if "train" not in words else "train"
        makes = {"draft_livers.py": 3, "prepare_data.py": 4, "adjust_stage.py": 4}
        out = Path(words[words.index("-o") + 1] if tool == "train" else words[makes[tool]])
        for needed in (Path(word) for word in words[1:] if word.startswith("/")):
            assert needed.exists() or needed == out, f"{needed} is not there for {tool}"
        made = {"train": out / f"{out.name}.med3d.zip", "prepare_data.py": out / "dataset.json", "adjust_stage.py": out}
        path = made.get(tool, out / "case_liver.nii.gz")
        path.parent.mkdir(exist_ok=True)
        path.touch()

    monkeypatch.setattr(retrain, "call", call)
    monkeypatch.setattr(retrain.Retraining, "first_drafts", lambda self: ROOT / "README.md")
    return calls


def test_every_round_finds_what_it_starts_from_and_both_packages_come_out(retrain, calls, tmp_path):
    packages = retrain.Retraining(tmp_path, tmp_path / "runs", None).run()
    assert [path.parent.name for path in packages] == ["0.5.0", "fast"]
    assert len([words for words in calls if "train" in words]) == len(retrain.UP_TO_0_4_0) + 1 + 4 + 1 + 3
    assert calls[-1][-2:] == [str(tmp_path / "runs" / "fast-adjusted.med3d.zip"), "--name-cases"]


def test_what_is_drafted_and_prepared_is_not_made_again(retrain, calls, tmp_path):
    for _ in range(2):
        retrain.Retraining(tmp_path, tmp_path / "runs", None).run()
    tools = [Path(words[1]).name for words in calls]
    assert (tools.count("draft_livers.py"), tools.count("prepare_data.py")) == (3, 2)


def test_the_rounds_learn_as_the_cards_say_or_fewer_steps_if_asked(retrain, calls, tmp_path):
    def steps(folder):
        recipes = {path.stem: read_recipe(path) for path in folder.glob("*.json")}
        return {name: [stage.training.steps for stage in recipe.stages] for name, recipe in recipes.items()}

    for most, folder in ((None, tmp_path / "all"), (2, tmp_path / "dry")):
        retrain.Retraining(tmp_path, folder, most).run()
    learnt = steps(tmp_path / "all")
    assert learnt["round1"] == [350, 1250, 0] and learnt["round4"] == [0, 1941, 0] and learnt["fast-learnt"] == [2419]
    assert learnt["0.5.0"] == [0, 0, 0] and learnt["fast"] == [0]
    assert steps(tmp_path / "dry") == {name: [min(n, 2) for n in counts] for name, counts in learnt.items()}
    fourth = json.loads((tmp_path / "all" / "round4.json").read_text())
    assert fourth["seed"] == 12 and fourth["stages"][1]["training"]["augmentation"]["fluid"] == 0.4
