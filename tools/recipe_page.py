"""Write ``docs/recipes.md``: every key of a recipe, its default and its meaning, from the code's own dataclasses.

Run it after a setting was added or described otherwise; a test says when the page is old.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import MISSING, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "recipes.md"
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def page() -> str:
    """The whole page, Markdown."""
    from Med3DCore.models.package import Stage
    from Med3DCore.training.learning.loop_settings import LoopSettings
    from Med3DCore.training.learning.recipe import Recipe, TrainingSettings
    from Med3DCore.training.patches.augmentation import Augmentation
    from Med3DCore.training.patches.region import RegionSampling

    parts = [
        "# Recipes\n\nA recipe is a JSON file for `med3d train`; `Resources/Recipes/` has examples. Unknown keys are "
        "refused. This page is made from the code by `tools/recipe_page.py`.",
        _section("The recipe", Recipe),
        _section("Each of `stages`", Stage, leave_out=("mirror",))
        + "\n| `training` | needed | How to train it, below. |",
        _section("`training` of a stage", TrainingSettings, LoopSettings),
        _section("`augmentation` of a training", Augmentation),
        _section("`region` of a training", RegionSampling),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, kind: type, base: type | None = None, leave_out: tuple[str, ...] = ()) -> str:
    said = {name: " ".join(text.split()) for each in (base, kind) if each for name, text in _described(each)}
    rows = [
        f"| `{item.name}` | {_default(item)} | {said[item.name]} |"
        for item in fields(kind)
        if item.name not in leave_out
    ]
    return "\n".join([f"## {title}\n", "| key | default | meaning |", "|---|---|---|", *rows])


def _described(kind: type) -> list[tuple[str, str]]:
    text = (inspect.getdoc(kind) or "").partition("Args:\n")[2]
    text = re.sub(r"\n\n.*", "", text, flags=re.DOTALL)
    text = re.sub(r":(?:func|class|data|mod):`[~.]*([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")
    return _ENTRY.findall(text)


def _default(item: object) -> str:
    if item.default is not MISSING:
        return f"`{json.dumps(item.default)}`"
    return "needed" if item.default_factory is MISSING else f"`{_plain(item.default_factory())}`"


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, (dict, list, tuple)) else "{}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page())
