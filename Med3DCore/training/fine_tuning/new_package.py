"""The package of a fine-tuned model: what it says of itself, its parent and its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from Med3DCore.labels import Label
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.package import ModelPackage, name_from_title, utc_now
from Med3DCore.training.cases.case import Case
from Med3DCore.training.fine_tuning.adapt import TunedStage
from Med3DCore.training.fine_tuning.held_out import Checked, Scores
from Med3DCore.training.fine_tuning.run_folder import TuneSettings
from Med3DCore.training.learning.provenance import nameless, provenance
from Med3DCore.training.segmentation.card import write_card
from Med3DCore.training.segmentation.publish import values_of

_OWN_DATA = {"name": "Own cases", "licence": "not stated", "attribution": "the user of Med3D who fine-tuned this model"}


def describe(
    parent: ModelPackage,
    labels: Sequence[Label],
    stages: Sequence[TunedStage],
    cases: Sequence[Case],
    settings: TuneSettings,
) -> ModelPackage:
    """The new package, before it is measured.

    Args:
        parent: The model it was made from.
        labels: What the cases teach.
        stages: The trained stages.
        cases: All cases.
        settings: The user's choices.
    """
    tuned = {stage.recipe.stage.name: stage.recipe for stage in stages}
    new = [stage.recipe.stage for stage in stages if stage.is_new]
    unknown = [label for label in labels if label.name not in parent.label_names]
    learned = ", ".join(label.title.lower() for label in labels)
    training = [case for case in cases if case.split == "training"]
    own = provenance({name: recipe.training for name, recipe in tuned.items()}, settings.seed, nameless(cases))
    earlier = parent.provenance
    title = settings.title or f"{parent.title}, fine-tuned"
    count = "1 case" if len(training) == 1 else f"{len(training)} cases"
    package = replace(
        parent,
        name=name_from_title(title),
        version="1.0.0",
        title=title,
        description=f"{parent.title}, fine-tuned for {learned} on {count}."[:500],
        labels=(*parent.labels, *unknown),
        stages=(*(tuned[stage.name].stage if stage.name in tuned else stage for stage in parent.stages), *new),
        encoder=None,
        provenance={
            **own,
            "data_sets": [*earlier.get("data_sets", []), _OWN_DATA],
            "training": {**earlier.get("training", {}), **own["training"]},
            "parent": earlier,
        },
        metrics={},
        parent=parent.reference,
        card="",
        created=utc_now(),
    )
    return replace(package, version=free_version(package.name))


def with_metrics(
    package: ModelPackage, checked: Sequence[Checked], cases: Sequence[Case], before: Scores, way: float
) -> ModelPackage:
    """The package with what was measured on the held-out cases, before and after, and its card.

    Args:
        package: As :func:`describe` gives it.
        checked: What the new model finds.
        cases: All cases.
        before: Scores of the parent.
        way: How far the weights went from the parent's to those learned, see :mod:`.blend`.
    """
    names = dict(zip([case.name for case in cases], [case.name for case in nameless(cases)], strict=True))
    metrics: dict[str, dict] = {}
    for each in checked:
        for label, values in values_of(each.report).items() if each.report else ():
            metrics.setdefault(label, {})[names[each.case.name]] = values
    then = {label: {names[case]: dice for case, dice in dices.items()} for label, dices in before.items()}
    package = replace(package, metrics=metrics, provenance={**package.provenance, "dice_of_parent": then, "way": way})
    return replace(package, card=write_card(package))


def free_version(name: str) -> str:
    """A version that no model of this name on this computer has."""
    packages = [entry.package for entry in Catalogue().list() if entry.package]
    taken = [package.version_numbers for package in packages if package.name == name]
    if not taken:
        return "1.0.0"
    major, minor, _ = max(taken)
    return f"{major}.{minor + 1}.0"
