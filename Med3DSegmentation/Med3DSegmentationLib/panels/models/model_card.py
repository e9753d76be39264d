"""A model's card as rich text. What a package says is foreign text: escaped, and never a link or a picture to load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from slicer.i18n import tr as _

from Med3DCore.models.metrics import summarise
from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.preview.preview_texts import stageText


def cardHtml(model: ModelChoice, whole: dict[str, Any] | None, waitsFor: str = "") -> str:
    """What a model is, needs and gives, and how well it does.

    Args:
        model: The model, as the list knows it.
        whole: Its whole ``model.json``, or None while it is not known.
        waitsFor: Why that is not being read yet, such as "A training is running.", or "".
    """
    values = model.values["model"]
    if values is None:
        return f"<h3>{escape(model.reference)}</h3><p>{escape(model.problem)}</p>{_facts(_fileFacts(model))}"
    parts = [
        f"<h3>{escape(model.title)}</h3>",
        f"<p>{escape(model.description)}</p>",
        _facts([*_modelFacts(values, model.channels), *_fileFacts(model)]),
    ]
    if values["stages"]:
        steps = (f"<b>{escape(stage['name'])}</b>: {escape(stageText(stage))}" for stage in values["stages"])
        parts.append(_section(_("How it looks"), _list(steps)))
    if whole is None and waitsFor:
        later = _("{reason} Where this model comes from and how well it does is read after that.")
        parts.append(f"<p>{escape(later.format(reason=waitsFor))}</p>")
    elif whole is None:
        parts.append(f"<p>{_('Where it comes from and how well it does is being read...')}</p>")
    else:
        if values["kind"] == "pipeline":
            parts.append(_section(_("On patients it never saw"), _metrics(whole["metrics"], model.organs)))
        parts.append(_section(_("Data it was made with"), _dataSets(whole["provenance"].get("data_sets", ()))))
    return "".join(parts)


def safeMarkdown(card: str) -> str:
    """Markdown without HTML and pictures: a picture's address alone could tell a stranger's computer who reads it."""
    return re.sub(r"!+(?=\[)", "", card.replace("<", "&lt;"))


def originText(model: ModelChoice) -> str:
    """Whose it is, or that it is broken."""
    if model.problem:
        return _("broken")
    return _("Med3D") if model.values["shipped"] else _("yours")


def sizeText(model: ModelChoice) -> str:
    """Such as "15.0 MB"."""
    return f"{model.values['bytes'] / 1e6:.1f} MB"


def _modelFacts(values: dict[str, Any], channels: Sequence[str]) -> list[tuple[str, str]]:
    if values["kind"] == "encoder":
        finds = escape(_("nothing by itself: an encoder to start a training from"))
    elif values["kind"] == "classifier":
        finds = escape(_("no organ: it tells what is at a point, in the tab Find"))
    elif values["kind"] == "scan_classifier":
        finds = escape(_("no organ: it tells what a whole scan shows, in the tab Find"))
    elif values["kind"] == "detector":
        finds = escape(_("lesions of any kind: it puts boxes around them, in the tab Find"))
    else:
        finds = ", ".join(f"{_swatch(label['colour'])}&nbsp;{escape(label['title'])}" for label in values["labels"])
    facts = [
        (_("Finds"), finds),
        (_("Scans"), escape(values["modality"])),
        *([(_("Images"), escape(", ".join(channels)))] if channels else []),
        (_("Licence"), escape(values["licence"])),
        (_("Made"), escape(values["created"][:10])),
    ]
    return [*facts, (_("Made from"), escape(values["parent"]))] if values["parent"] else facts


def _fileFacts(model: ModelChoice) -> list[tuple[str, str]]:
    origin = _("came with Med3D") if model.values["shipped"] else _("one of your own models")
    return [
        (_("Name"), f"{escape(model.reference)} ({escape(origin)})"),
        (_("File"), f"{escape(model.values['path'])} ({sizeText(model)})"),
    ]


def _metrics(metrics: dict[str, Any], titles: dict[str, str]) -> str:
    rows = [
        (
            escape(titles.get(each.label, each.label)),
            str(each.cases),
            f"{each.dice:.3f}",
            f"{each.worst_dice:.3f}",
            "" if each.assd_mm is None else f"{each.assd_mm:.1f} mm",
        )
        for each in summarise(metrics)
    ]
    if not rows:
        return f"<p>{_('Not measured: try it on scans of your own before you rely on it.')}</p>"
    head = (_("Organ"), _("Patients"), _("Dice, mean"), _("Dice, worst"), _("Surface off by, mean"))
    cells = "".join(f"<th align='left'>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    explained = _("Dice: 1 is perfect agreement with the labels made by people, 0 is none. Few patients: a first hint.")
    return f"<table cellspacing='0' cellpadding='3'><tr>{cells}</tr>{body}</table><p>{escape(explained)}</p>"


def _dataSets(dataSets: Sequence[dict[str, str]]) -> str:
    if not dataSets:
        return f"<p>{_('The package does not say.')}</p>"
    return _list(_dataSet(**{key: escape(source[key]) for key in ("name", "licence", "attribution")})
                 for source in dataSets)  # fmt: skip


def _dataSet(name: str, licence: str, attribution: str) -> str:
    credit = "" if attribution == name else f" {attribution}"
    return f"{name}: {licence}.{credit}"


def _swatch(colour: Sequence[int]) -> str:
    red, green, blue = colour
    return f"<span style='background-color: rgb({red}, {green}, {blue})'>&nbsp;&nbsp;&nbsp;</span>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td><b>{escape(title)}</b></td><td>{text}</td></tr>" for title, text in facts)
    return f"<table cellspacing='0' cellpadding='3'>{rows}</table>"


def _section(title: str, html: str) -> str:
    return f"<h4>{escape(title)}</h4>{html}"


def _list(items: Iterable[str]) -> str:
    return (
        "<ul style='-qt-list-indent: 0; margin-left: 12px'>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
    )
