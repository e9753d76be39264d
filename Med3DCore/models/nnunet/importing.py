"""From a results folder of nnU-Net to a package of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.io.label_names import distinct, label_of_words
from Med3DCore.labels import Label
from Med3DCore.models.archive import sha256_of
from Med3DCore.models.nnunet.checkpoint import Checkpoint
from Med3DCore.models.nnunet.plans import Plan, read_plan
from Med3DCore.models.nnunet.results import Results
from Med3DCore.models.nnunet.weights import our_weights
from Med3DCore.models.package import ModelPackage, name_from_title
from Med3DCore.models.stage import BACKGROUND, Stage
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]
STAGE = "nnunet"


def import_nnunet(
    path: str | Path,
    folds: Sequence[str] | None = None,
    configuration: str | None = None,
    name: str | None = None,
    version: str = "1.0.0",
    licence: str = "not stated",
    title: str = "",
    folder: str | None = None,
    progress: Progress | None = None,
) -> tuple[ModelPackage, dict[str, Weights]]:
    """Read a trained model of nnU-Net v2. Nothing of it is run.

    Args:
        path: Results folder, a folder above it, or a zip of ``nnUNetv2_export_model_to_zip``.
        folds: Such as ``["0", "1"]`` or ``["all"]``; several answer together. By default all that are there.
        configuration: Such as ``"3d_fullres"``, if there are several.
        name: Of the package; by default the data set's.
        version: Three numbers.
        licence: Of the weights; nnU-Net's files do not say it.
        title: Name shown to people.
        folder: Of the model inside ``path``, if there are several; see ``Results.models``.
        progress: Followed, and may cancel.

    Returns:
        Its description and the weights of its stage, as :func:`.save_package` wants them.

    Raises:
        ModelError: Something is missing, damaged, of another version, or does not fit completely.
    """
    progress = progress or Progress()
    with closing(Results(Path(path), progress)) as results:
        results.choose(configuration, folder)
        plans, data_set = results.document("plans.json"), results.document("dataset.json")
        chosen = results.folds(folds)
        members = []
        for number, fold in enumerate(chosen):
            progress.update(number / len(chosen))
            members.append(_read_fold(results, fold, plans, data_set, configuration))
    plan, used, mirror = members[0].plan, members[0].configuration, members[0].mirror
    if any((member.configuration, member.mirror) != (used, mirror) for member in members):
        raise ModelError(
            f"The folds of {results.name} are of several configurations, or mirrored along other axes; give one of "
            f"them with --folds {chosen[0]}."
        )
    data_set_name = str(plans.get("dataset_name") or data_set.get("name") or results.name)
    labels = _labels(plan)
    stage = _stage(plan, labels, mirror, len(members))
    package = ModelPackage(
        name=name or name_from_title(f"{data_set_name}-{used}"),
        version=version,
        title=title or f"{data_set_name} ({used}, nnU-Net)",
        description=f"{len(labels)} labels; imported from nnU-Net's {data_set_name}, {used}, fold {', '.join(chosen)}.",
        modality="CT" if plan.preprocessing["intensity"]["channels"][0]["method"] == "window" else "MR",
        licence=licence,
        labels=labels,
        stages=(stage,),
        provenance={
            "imported": {
                "source": results.name,
                "from": "nnU-Net v2",
                "configuration": used,
                "folds": chosen,
                "sha256": [member.sha256 for member in members],
                "plans": str(plans.get("plans_name", "")),
                "channels": list(plan.channels),
                "values": plan.values,
            }
        },
    )
    if len(members) == 1:
        return package, {STAGE: members[0].weights}
    numbered = enumerate(member.weights for member in members)
    return package, {STAGE: {f"members.{i}.{key}": value for i, weights in numbered for key, value in weights.items()}}


@dataclass(frozen=True)
class _Fold:
    """What one fold's checkpoint says, and the plan that it was trained by."""

    plan: Plan
    configuration: str
    mirror: tuple[int, ...]
    sha256: str
    weights: Weights


def _read_fold(results: Results, fold: str, plans: dict, data_set: dict, configuration: str | None) -> _Fold:
    file, name = results.checkpoint(fold)
    with closing(file):
        digest = sha256_of(file)
        file.seek(0)
        checkpoint = Checkpoint(file, name)
        used = _configuration(checkpoint, results, configuration)
        plan = read_plan(plans, data_set, used, results.name)
        weights = our_weights(checkpoint.weights("network_weights"), plan.preprocessing["flat"])
        _check_fit(plan, weights, name)
        return _Fold(plan, used, _mirror_axes(checkpoint, plan), digest, weights)


def _configuration(checkpoint: Checkpoint, results: Results, wanted: str | None) -> str:
    """The configuration that a checkpoint was trained with."""
    settings = checkpoint.content.get("init_args") if isinstance(checkpoint.content, Mapping) else None
    told = settings.get("configuration") if isinstance(settings, Mapping) else None
    found = told or results.configuration or wanted
    if not isinstance(found, str):
        raise ModelError(
            f"{checkpoint.name} does not say which configuration it is of; give it with --configuration 3d_fullres."
        )
    return found


def _mirror_axes(checkpoint: Checkpoint, plan: Plan) -> tuple[int, ...]:
    """Axes of the network along which the training mirrored."""
    told: Any = checkpoint.content.get("inference_allowed_mirroring_axes") or ()
    axes = tuple(axis + 1 if plan.preprocessing["flat"] else axis for axis in told)
    if any(type(axis) is not int or axis not in range(3) for axis in axes):
        raise ModelError(f"{checkpoint.name} mirrors along axes that an image does not have; copy the file again.")
    return axes


def _labels(plan: Plan) -> tuple[Label, ...]:
    """Our labels where we know them by name, new ones else; in the order of the channels."""
    names = [name for name in plan.labels if name != BACKGROUND]
    return tuple(distinct(label_of_words(name, position) for position, name in enumerate(names)))


def _stage(plan: Plan, labels: Sequence[Label], mirror: tuple[int, ...], members: int) -> Stage:
    names = tuple(label.name for label in labels)
    together = {"members": members} if members > 1 else {}
    return Stage(
        name=STAGE,
        network={**plan.network, **together},
        preprocessing=plan.preprocessing,
        labels=names if plan.regions else (BACKGROUND, *names),
        activation="sigmoid" if plan.regions else "softmax",
        window=plan.window,
        mirror=mirror,
    )


def _check_fit(plan: Plan, weights: Weights, name: str) -> None:
    """Refuse a checkpoint that is not completely that of the plan's network."""
    import torch

    from Med3DCore.models.weights import compare
    from Med3DCore.networks import build_network

    try:
        with torch.device("meta"):
            fit = compare(build_network(plan.network).state_dict(), weights)
    except SettingError as error:
        raise ModelError(f"plans.json beside {name} describes no network that can be built: {error}") from error
    if not fit.is_complete:
        raise ModelError(
            f"The weights of {name} are not those of the network in plans.json: {fit.describe()}; give the folder as "
            "nnU-Net wrote it."
        )
