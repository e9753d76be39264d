"""Write ``docs/recipes.md``: every key of a recipe, its default and its meaning, from the code's own docstrings.

Run it after a setting was added or described otherwise; a test says when the page is old.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "recipes.md"
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)

# What training and publishing add to a package, so no key of a recipe's "model".
_LATER = ("stages", "encoder", "provenance", "metrics", "parent", "created", "card", "path", "members")
_LABELS = 'Names of what the user gets, such as `["liver", "lungs"]`, each found by a stage; not of a classifier.'
_BELOW = {"network": "Encoder, decoder and number of classes, below.", "preprocessing": "Spacing and intensity, below."}
_NETWORK = (
    ("out_channels", "needed", "The number of classes: as many as the stage has labels."),
    ("members", "`1`", "How many such networks answer together."),
)
_SPACING = (
    'Three numbers (x, y, z) in mm, or a rule that is applied to the training cases: `"median"` or `"average"` of each '
    'axis, `"isotropic"` (the geometric mean of the medians on all axes).'
)


def page() -> str:
    """The whole page, Markdown."""
    from Med3DCore.inference.postprocessing import Cleaning
    from Med3DCore.models.package import ModelPackage
    from Med3DCore.models.stage import Stage
    from Med3DCore.networks.factory import DECODERS, ENCODERS, GIVEN_BY_ENCODER
    from Med3DCore.preprocessing.intensity import METHODS
    from Med3DCore.training.co_training.domains import DEFAULTS, CoTrainingRecipe
    from Med3DCore.training.learning.loop_settings import LoopSettings
    from Med3DCore.training.learning.recipe import Recipe, TrainingSettings
    from Med3DCore.training.patches.augmentation import Augmentation
    from Med3DCore.training.patches.region import RegionSampling
    from Med3DCore.training.pictures.recipe import PictureRecipe
    from Med3DCore.training.pictures.views import ViewSettings

    training = ("training", "needed", "How to train it, below.")
    domain = [
        ("name", "needed", "Letters a-z, digits, `_`, `-`; also the `domain` of its cases in a data set of several."),
        ("labels", "needed", 'Label to the names of what it is made of in the data: `{"liver": ["liver", "cancer"]}`.'),
        ("folder", "the name", "Name of the folder of its data set."),
        *((key, f"`{json.dumps(value)}`", f"As of a stage's `{of}`.") for (key, value), of in zip(
            DEFAULTS.items(), ("network", "preprocessing", "preprocessing"), strict=True)),
        ("training", "`{}`", "Its own patch, batch, foreground, anybody, augmentation or region."),
    ]  # fmt: skip
    parts = [
        "# Recipes\n\nA recipe is a JSON file for `med3d train`, `med3d classify train` and `med3d compare`; "
        "`Resources/Recipes/` has examples. Unknown keys are refused. This page is made from the code by "
        "`tools/recipe_page.py`.",
        _section("The recipe", _keys(Recipe)),
        _section("`model`", _keys(ModelPackage, leave_out=_LATER, other={"labels": _LABELS})),
        _section("Each of `stages`", [*_keys(Stage, leave_out=("mirror",), other=_BELOW), training]),
        _section("`network` of a stage", [_named("encoder", ENCODERS), _named("decoder", DECODERS), *_NETWORK]),
        *_kinds("encoder", _classes(ENCODERS), ()),
        *_kinds("decoder", _classes(DECODERS), GIVEN_BY_ENCODER),
        _section("`preprocessing` of a stage", [("spacing", "needed", _SPACING), _named("intensity", METHODS)]),
        *_kinds("intensity", METHODS, ()),
        _section("`postprocessing` of a label", _keys(Cleaning)),
        _section("`training` of a stage", _keys(TrainingSettings, LoopSettings)),
        _section("`augmentation` of a training", _keys(Augmentation)),
        _section("`region` of a training", _keys(RegionSampling)),
        _section("A recipe of `med3d pretrain`", _keys(CoTrainingRecipe)),
        _section("Each of its `domains`", domain),
        _section("A recipe of `med3d pretrain-2d`", _keys(PictureRecipe)),
        _section("Its `training`", _keys(LoopSettings)),
        _section("Its `views`", _keys(ViewSettings)),
    ]
    return "\n\n".join(parts) + "\n"


Row = tuple[str, str, str]
"""Key, default and meaning."""


def _section(title: str, rows: Iterable[Row]) -> str:
    return f"## {title}\n\n{_table(rows)}"


def _table(rows: Iterable[Row]) -> str:
    lines = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in rows]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *lines])


def _named(key: str, kinds: Iterable[str]) -> Row:
    names = ", ".join(f'`"{name}"`' for name in kinds)
    return (key, "needed", f"A `name` ({names}) and its keys, below.")


def _kinds(part: str, kinds: Mapping[str, type], given: tuple[str, ...]) -> list[str]:
    """A section for each name that a part may have."""
    found, before = [], None
    for name, kind in kinds.items():
        rows = _keys(kind, *kind.__mro__[1:-1], leave_out=given)
        about, is_same = (inspect.getdoc(kind) or "").partition("\n\nArgs:")[0], bool(rows) and rows == before
        first = about if is_same else about.partition("\n\n")[0]
        keys = "The same keys." if is_same else _table(rows) if rows else "No keys."
        found.append(f"### `{part}` `{name}`\n\n{_plain_text(first)}\n\n{keys}")
        before = rows
    return found


def _classes(kinds: Mapping[str, tuple[str, str]]) -> dict[str, type]:
    return {
        name: getattr(import_module(f"Med3DCore.networks.{module}"), kind) for name, (module, kind) in kinds.items()
    }


def _keys(
    kind: type, *bases: type, leave_out: tuple[str, ...] = (), other: Mapping[str, str] | None = None
) -> list[Row]:
    """The arguments of a class; meanings that its docstring lacks are those of its bases."""
    said = {name: text for each in (*reversed(bases), kind) for name, text in _described(each)} | dict(other or {})
    if is_dataclass(kind):
        defaults = {item.name: _default(item) for item in fields(kind) if item.init}
    else:
        parameters = inspect.signature(kind).parameters.values()
        defaults = {p.name: "needed" if p.default is p.empty else f"`{json.dumps(p.default)}`" for p in parameters}
    return [(name, default, said[name]) for name, default in defaults.items() if name not in leave_out]


def _described(thing: object) -> list[tuple[str, str]]:
    text = (inspect.getdoc(thing) or "").partition("Args:\n")[2]
    return [
        (name, _plain_text(meaning)) for name, meaning in _ENTRY.findall(re.sub(r"\n\n.*", "", text, flags=re.DOTALL))
    ]


def _plain_text(text: str) -> str:
    text = re.sub(r":(?:func|class|data|mod|meth):`[~.]*([^`]+)`", r"`\1`", text)
    text = re.sub(r"\bTrue\b", "true", re.sub(r"\bNone\b", "null", text))  # as JSON says it
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _default(item: Field) -> str:
    if item.default is not MISSING:
        return f"`{json.dumps(item.default)}`"
    return "needed" if item.default_factory is MISSING else f"`{_plain(item.default_factory())}`"


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, (dict, list, tuple)) else "{}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page())
