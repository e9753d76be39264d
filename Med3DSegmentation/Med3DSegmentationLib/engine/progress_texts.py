"""The engine's stages and seconds in words."""

from __future__ import annotations

from slicer.i18n import tr as _


def stageTitle(stage: str) -> str:
    """What a stage of the engine does, such as "Running the network (fine)" for ``"fine: network"``.

    A stage without a title of its own is named as the engine names it.
    """
    for beginning, title in _beginnings().items():
        if stage.startswith(beginning):
            return title.format(name=stage[len(beginning) :])
    part, _colon, step = stage.rpartition(": ")
    title = _titles().get(step, step)
    return f"{title} ({part})" if part else title


def timeLeft(seconds: float) -> str:
    """Such as "about 12 s left"; rough, so that it does not flicker."""
    if seconds >= 90:
        return _("about {minutes} min left").format(minutes=round(seconds / 60))
    step = 1 if seconds < 10 else 5
    return _("about {seconds} s left").format(seconds=max(1, step * round(seconds / step)))


def _beginnings() -> dict[str, str]:
    """Of stages that go on with a name."""
    return {"train ": _("Training the network ({name})"), "check on ": _("Checking on {name}")}


def _titles() -> dict[str, str]:
    return {
        "read": _("Reading the volume"),
        "read slices": _("Reading the slices"),
        "start torch": _("Starting PyTorch"),
        "load model": _("Loading the model"),
        "orientation": _("Looking how the patient lies"),
        "edge": _("Looking for the edge of the scan"),
        "prepare": _("Preparing"),
        "copy the cases": _("Copying the cases"),
        "prepare cases": _("Preparing the cases"),
        "network": _("Running the network"),
        "look at the points": _("Looking at the points"),
        "look at the scan": _("Looking at the scan"),
        "look for lesions": _("Looking for lesions"),
        "clean": _("Cleaning up"),
        "restore": _("Bringing the result to the volume's grid"),
        "check": _("Checking the result"),
        "split lungs": _("Parting left and right lung"),
        "measure": _("Measuring"),
        "write": _("Handing over"),
        "look for models": _("Looking for trained models"),
        "read weights": _("Reading the weights"),
        "write model": _("Writing the model"),
        "check model": _("Checking the model"),
        "check and copy": _("Checking and copying the model"),
        "copy": _("Copying the model"),
        "phantom": _("Making the synthetic CT"),
    }
