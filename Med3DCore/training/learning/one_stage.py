"""Make a model package of a network of one stage, a detector or a classifier: described, measured, with its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import check_description, load_package, save_package
from Med3DCore.training.cases.case import AnyCase
from Med3DCore.training.learning.provenance import provenance
from Med3DCore.training.learning.recipe import Recipe, StageRecipe, package_of

if TYPE_CHECKING:
    from torch import Tensor

Report = TypeVar("Report")


def describe(recipe: Recipe, stage: StageRecipe, cases: Sequence[AnyCase], start: str, **known: Any) -> ModelPackage:
    """The package as far as it is known before the training.

    Args:
        recipe: The recipe.
        stage: Its one stage, as it is trained.
        cases: All cases, called as the package may call them.
        start: Where the training started, such as ``"random weights"``.
        **known: More for its provenance.

    Raises:
        ModelError: The recipe's description of the model is not complete.
    """
    of_data = provenance({stage.stage.name: stage.training}, recipe.seed, cases)
    package = package_of(recipe.model, stages=(stage.stage,), provenance={**of_data, "started_from": start, **known})
    check_description(package)
    return package


def publish(
    package: ModelPackage,
    weights: dict[str, Tensor],
    folder: Path,
    measure: Callable[[ModelPackage], tuple[Report | None, dict]],
    write_card: Callable[[ModelPackage, Report | None], str],
) -> tuple[Path, Report | None]:
    """Write the package with what it is worth inside.

    It is written once without metrics and loaded as a user's computer would, so what is measured are the weights in
    half precision.

    Args:
        package: As described before the training.
        weights: State dict of the network.
        folder: Where the package goes.
        measure: Gives a report of a package and its metrics; None and nothing if nothing was held out.
        write_card: Gives the card of the measured package.

    Returns:
        The package's file and the report.
    """
    parts = {package.stages[0].name: weights}
    path = save_package(package, parts, folder)
    report, metrics = measure(load_package(path))
    package = replace(package, metrics=metrics)
    return save_package(replace(package, card=write_card(package, report)), parts, folder), report


def card(package: ModelPackage, what: str, measured: str, taught: str) -> str:
    """The model card, Markdown.

    Args:
        package: The package.
        what: What the network looks at and answers.
        measured: How good it is, or why nobody knows.
        taught: What it learned from.
    """
    known = package.provenance
    parts = [
        f"# {package.title} ({package.reference})",
        package.description,
        "For research and teaching. Not a medical device; not for diagnosis or treatment.",
        f"Licence of the weights: {package.licence}. Modality: {package.modality}.",
        what,
        f"## Held-out patients\n\n{measured}",
        f"## Training data\n\n{taught}",
        f"Started from {known['started_from']}. Seed {known['seed']}.",
        "\n".join(f"- {source['name']}: {source['licence']}" for source in known["data_sets"]),
    ]
    return "\n\n".join(parts) + "\n"
