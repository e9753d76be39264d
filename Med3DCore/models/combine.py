"""Make one model of several that were trained apart: where their weights differ, their networks answer together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from Med3DCore.errors import ModelError
from Med3DCore.models.package import ModelPackage, utc_now
from Med3DCore.models.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]


def combine(
    packages: Sequence[ModelPackage], name: str, version: str = "1.0.0", title: str = ""
) -> tuple[ModelPackage, dict[str, Weights]]:
    """The model whose stages average those of some models.

    A stage that has the same weights in several of them is in it once. It has no metrics: nobody measured it yet, and
    what one member was trained on is held out of none.

    Args:
        packages: At least two models that segment the same labels with the same stages.
        name: Of the new model.
        version: Of the new model.
        title: Shown to people; by default the first model's.

    Returns:
        Its description and the weights of its stages, as :func:`Med3DCore.models.package_file.save_package` wants them.

    Raises:
        ModelError: There are fewer than two models, one of them does not segment, or they are not alike.
    """
    first = packages[0]
    if len(packages) < 2:
        raise ModelError("Give at least two models to combine.")
    for package in packages:
        package.require_pipeline()
        _require_alike(first, package)
    stages, weights = [], {}
    for stage in first.stages:
        members = _distinct([package.read_weights(stage.name) for package in packages])
        if len(members) > 1:
            stage, weights[stage.name] = _joined(stage, members, first)
        else:
            weights[stage.name] = members[0]
        stages.append(stage)
    if not any("members" in stage.network for stage in stages):
        raise ModelError("All these models have the same weights; there is nothing to combine.")
    data_sets = {tuple(sorted(entry.items())): entry for p in packages for entry in p.provenance.get("data_sets", ())}
    combined = replace(
        first,
        name=name,
        version=version,
        title=title or first.title,
        stages=tuple(stages),
        parent=None,
        provenance={
            "combined_from": {package.reference: package.provenance for package in packages},
            "data_sets": list(data_sets.values()),
        },
        metrics={},
        created=utc_now(),
        card=f"# {title or first.title}\n\nCombined from {', '.join(package.reference for package in packages)}.\n",
        path=None,
        members=(),
    )
    return combined, weights


def _require_alike(first: ModelPackage, other: ModelPackage) -> None:
    for what in ("label_names", "modality", "licence"):
        if getattr(first, what) != getattr(other, what):
            raise ModelError(
                f"{first.reference} and {other.reference} cannot be combined: their {what.replace('_', ' ')} differ."
            )
    if first.stages != other.stages:
        raise ModelError(
            f"{first.reference} and {other.reference} cannot be combined: their stages (networks, spacings, "
            "intensities or rules) differ."
        )


def _distinct(members: Sequence[Weights]) -> list[Weights]:
    """Without those that are the same as an earlier one."""
    found: list[Weights] = []
    for member in members:
        if not any(all(member[key].equal(known[key]) for key in known) for known in found):
            found.append(member)
    return found


def _joined(stage: Stage, members: Sequence[Weights], package: ModelPackage) -> tuple[Stage, Weights]:
    if "members" in stage.network:
        raise ModelError(f"{package.reference} is combined already; combine the models that it was made of.")
    weights = {f"members.{i}.{key}": value for i, member in enumerate(members) for key, value in member.items()}
    return replace(stage, network={**stage.network, "members": len(members)}), weights
