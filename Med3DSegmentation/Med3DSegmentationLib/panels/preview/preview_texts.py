"""What a preview shows, in words."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.results import Normalisation, PreviewResult

_PROGRAMS = {"nnunet": "nnU-Net", "monai": "MONAI"}


def stageText(stage: dict[str, Any]) -> str:
    """Where a stage looks and at which spacing.

    Args:
        stage: As in ``model.json``.
    """
    rules = stage["preprocessing"]
    if not rules.get("resample", True):
        return _("Looks at the whole scan, in its own spacing.")
    spacing = " × ".join(f"{value:g}" for value in rules["spacing"])
    if stage["region"] is None:
        return _("Looks at the whole scan, at {spacing} mm.").format(spacing=spacing)
    return _('Looks closely, at {spacing} mm, at the box around what the stage "{stage}" found.').format(
        spacing=spacing, stage=stage["region"]["stage"]
    )


def seenText(result: PreviewResult) -> str:
    """Who sees the preview, and where its box comes from."""
    texts = {
        "scan": _('This is what the stage "{stage}" of {model} sees: the whole scan and some air around it.'),
        "whole": _("This is what {model} sees: the whole scan, prepared as in {program}."),
        "filled": _("This is what {model} sees: the part of the scan that is not empty, prepared as in {program}."),
    }
    found = _('This is what the stage "{stage}" of {model} sees: the box around what the stage "{from}" found.')
    program = _PROGRAMS.get(result.normalisation.name.split("_")[0], "")
    values = {"stage": result.stage, "model": result.model, "from": result.boxFrom, "program": program}
    return texts.get(result.boxFrom, found).format(**values)


def normalisationText(values: Normalisation) -> str:
    """What happens to the intensities, such as "Intensities below -160 count as -160, ..."."""
    sentences = []
    if values.name in ("nnunet_none", "monai_none"):
        return _("Intensities stay as they are.")
    if values.low is not None and values.high is not None:
        clipped = _("Intensities below {low} count as {low}, those above {high} as {high}.")
        sentences.append(clipped.format(low=f"{values.low:g}", high=f"{values.high:g}"))
    first = _("{mean} becomes 0, a step of {sd} is 1.")
    second = _("Then {mean} becomes 0, and a step of {sd} becomes 1.")
    scaled = second if sentences else first
    sentences.append(scaled.format(mean=f"{values.mean:.4g}", sd=f"{values.sd:.4g}"))
    return " ".join([*sentences, _reason(values.name)]).strip()


def _reason(name: str) -> str:
    """Where the numbers of a normalisation come from, and what else it does."""
    fixed = _("The limits are the same for every scan.")
    measured = _("The numbers were measured on this scan.")
    filled = _("The numbers were measured on this scan's voxels other than 0; voxels of exactly 0 stay 0.")
    squeezed = _("What came of that is squeezed to between 0 and 1 (a sigmoid), so 0 becomes 0.5.")
    return {
        "window": fixed,
        "percentile": _("The numbers were measured on this scan, its lowest and highest voxels left aside."),
        "medicalnet": _("The numbers were measured on this scan's voxels above 0; voxels of exactly 0 stay 0."),
        "nnunet_window": fixed,
        "nnunet_z_score": measured,
        "nnunet_z_score_nonzero": filled,
        "nnunet_range": measured,
        "monai_range": squeezed,
        "monai_z_score": filled,
        "monai_z_score_tanh": " ".join([filled, _("What came of that is squeezed to between -3 and 3 (tanh).")]),
        "monai_pet": " ".join([measured, squeezed]),
    }.get(name, "")
