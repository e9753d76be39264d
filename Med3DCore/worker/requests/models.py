"""``models``: what the user can choose from."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.errors import Med3DError
from Med3DCore.models.catalogue import USUAL_ORGANS, Catalogue
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """Nothing to say."""


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """List the models.

    Returns:
        ``models``: of each what :meth:`Med3DCore.models.entry.ModelEntry.to_dict` says, also of broken ones;
        ``automatic``: reference of the model that is taken for a label when none is named, the usual organs first;
        ``start``: of the one that the request ``train`` starts from then, or null; ``folder``: where the user's own are
        kept, which may not exist yet.
    """
    catalogue = Catalogue()
    entries = catalogue.list()
    found = {label for entry in entries if entry.package for label in entry.package.label_names}
    labels = [*USUAL_ORGANS, *sorted(found - set(USUAL_ORGANS))]
    return {
        "models": [entry.to_dict() for entry in entries],
        "automatic": {label: model for label in labels if (model := _automatic(catalogue, [label]))},
        "start": _automatic(catalogue, []),
        "folder": str(catalogue.user),
    }


def _automatic(catalogue: Catalogue, labels: list[str]) -> str | None:
    try:
        return catalogue.default_for(labels).reference
    except Med3DError:  # only a model of the user finds them, which is never taken unasked
        return None
