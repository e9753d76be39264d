"""What a preview shows, in words."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import Normalisation, PreviewResult


def stageText(stage: dict[str, Any]) -> str:
    """Where a stage looks and at which spacing.

    Args:
        stage: As in ``model.json``.
    """
    spacing = " × ".join(f"{value:g}" for value in stage["preprocessing"]["spacing"])
    if stage["region"] is None:
        return _("Looks at the whole scan, at {spacing} mm.").format(spacing=spacing)
    return _('Looks closely, at {spacing} mm, at the box around what the stage "{stage}" found.').format(
        spacing=spacing, stage=stage["region"]["stage"]
    )


def seenText(result: PreviewResult) -> str:
    """Who sees the preview, and where its box comes from."""
    if result.boxFrom == "scan":
        text = _('This is what the stage "{stage}" of {model} sees: the whole scan and some air around it.')
    else:
        text = _('This is what the stage "{stage}" of {model} sees: the box around what the stage "{from}" found.')
    return text.format(**{"stage": result.stage, "model": result.model, "from": result.boxFrom})


def normalisationText(values: Normalisation) -> str:
    """What happens to the intensities, such as "Intensities below -160 count as -160, ..."."""
    sentences = []
    if values.low is not None and values.high is not None:
        clipped = _("Intensities below {low} count as {low}, those above {high} as {high}.")
        sentences.append(clipped.format(low=f"{values.low:g}", high=f"{values.high:g}"))
    scaled = _("Then {mean} becomes 0, and a step of {sd} becomes 1.")
    sentences.append(scaled.format(mean=f"{values.mean:.4g}", sd=f"{values.sd:.4g}"))
    reason = {
        "window": _("The limits are the same for every scan."),
        "percentile": _("The numbers were measured on this scan, its lowest and highest voxels left aside."),
        "medicalnet": _("The numbers were measured on this scan's voxels above 0; voxels of exactly 0 stay 0."),
    }
    return " ".join([*sentences, reason.get(values.name, "")]).strip()
