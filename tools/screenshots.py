"""Draw the pictures of docs/images: each panel in its main states, and Slicer's views with a result.

``python tools/screenshots.py`` draws all, ``python tools/screenshots.py segment views`` some. The module runs as in
Slicer, with the real engine, on the stand-in host (Testing/slicer_host/README.md), on a made-up CT.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if os.name == "posix":
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]
VIEW_SIZE = (400, 340)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    args.folder.mkdir(parents=True, exist_ok=True)
    for part in args.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:  # of its own: no part shows another one's models
            os.environ["MED3D_MODELS"] = str(Path(folder) / "models")  # not the user's; trainings are kept beside it
            stage = Stage(args.folder)
            PARTS[part](stage)
            stage.close()


class Stage:
    """The module opened on an empty scene.

    Args:
        folder: Where pictures go.

    Attributes:
        host: The slicer_host.gui.GuiHost.
        widget: The module's widget object.
    """

    def __init__(self, folder: Path) -> None:
        from slicer_host.gui import GuiHost
        from slicer_host.logwindow import LogWindow

        LogWindow().install()  # keeps VTK's warnings, of which views without a window have many
        self.folder = folder
        self.host = GuiHost()
        self.host.load_module(ROOT / "Med3DSegmentation" / "Med3DSegmentation.py")
        self.widget = self.host.open_module("Med3DSegmentation")
        self.wait(lambda: self.widget.services.catalogue.models is not None)

    def panel(self, name: str):
        """Bring a panel's tab to the front, such as ``"SegmentPanel"``."""
        self.widget.services.showTab(name)
        return self.widget.panels[name]

    def add_ct(self, name: str = "CT", seed: int = 0, spacing: float = 2.5):
        """A made-up CT; returns its node and its exact labels."""
        from Med3DCore.phantom import PhantomSettings, make_phantom
        from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

        phantom = make_phantom(seed, PhantomSettings(spacing=(spacing,) * 3))
        node = volumeToNode(self.host.scene, phantom.ct, name)
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(400, 40)
        self.host.process_events(0.1)
        return node, phantom.labels

    def wait(self, is_done, seconds: float = 300) -> None:
        """Let the module work until something is done."""
        if not self.host.process_events(seconds, until=is_done):
            raise SystemExit("It takes too long; is the computer busy?")

    def wait_until_idle(self, seconds: float = 300) -> None:
        """Let it finish what runs."""
        self.wait(lambda: not self.widget.services.activity.isRunning, seconds)
        self.host.process_events(0.5)

    def grab(self, name: str) -> None:
        """Draw the module's panel, only as high as the tab in front needs."""
        from slicer_host.screenshots import PANEL_WIDTH

        panel, tabs = self.widget.parent, self.widget.ui.tabs
        panel.show()
        page = tabs.currentWidget()
        top, height = 0, 2000
        for _ in range(3):  # Qt lays out what changed only when it gets to it, and what is in that only then
            panel.resize(PANEL_WIDTH, top + height + 12)
            self.host.process_events(0.1)
            top = page.mapTo(panel, self.host.qt.QPoint(0, 0)).y()
            fits = page.hasHeightForWidth()
            height = page.layout().totalHeightForWidth(page.width) if fits else page.sizeHint.height()
        panel.grab().copy(0, 0, PANEL_WIDTH, top + height + 8).save(str(self.folder / f"{name}.png"))
        print(self.folder / f"{name}.png")

    def close(self) -> None:
        """Close the module and the scene."""
        self.host.close()


def segment(stage: Stage) -> None:
    """The Segment panel: empty, ready, running, done, and an error."""
    from Med3DCore.errors import VolumeError

    stage.grab("segment-empty")
    stage.add_ct()
    panel = stage.panel("SegmentPanel")
    stage.wait(lambda: panel.ui.deviceSelector.currentText != "Automatic")
    panel.ui.bothButton.click()
    stage.wait(lambda: panel.ui.progressBar.value > 250 or not stage.widget.services.activity.isRunning)
    stage.grab("segment-running")
    stage.wait_until_idle()
    stage.wait(lambda: panel.ui.resultTable.rowCount == 2)
    stage.grab("segment-done")
    error = VolumeError("CT was changed while it was being segmented; segment it again.")
    stage.widget.services.showError(error)
    stage.grab("segment-error")
    stage.widget.messages.clear()
    panel.ui.settingsSection.collapsed = panel.ui.detailsSection.collapsed = False
    stage.grab("segment-settings")


def views(stage: Stage) -> None:
    """Slice and 3D views with liver and lungs over the CT."""
    import numpy as np
    from slicer_host.screenshots import SliceView, ThreeDView, save

    volume, _labels = stage.add_ct()
    names = ("Red", "Yellow", "Green")
    slice_views = [SliceView(stage.host, name, VIEW_SIZE) for name in names]
    three_d = ThreeDView(stage.host, VIEW_SIZE)
    result = stage.widget.logic.segment(volume, ["liver", "lungs"], wait=True)
    stage.host.process_events(1)
    centre = np.array(result.segmentationNode.GetSegmentCenterRAS("liver")) + np.array([0, 0, 30])
    for view in slice_views:
        view.show(volume, centre)
    pictures = [view.pixels() for view in (slice_views[0], three_d, *slice_views[1:])]
    rows = [np.hstack(pictures[:2]), np.hstack(pictures[2:])]
    print(save(np.vstack(rows), stage.folder / "views.png"))


def train(stage: Stage) -> None:
    """The Train panel: empty, with cases, running, paused, and done; before and after in a slice view."""
    from slicer_host.screenshots import SliceView, save

    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation

    panel = stage.panel("TrainPanel")
    stage.grab("train-empty")
    for seed in range(3):
        volume, labels = stage.add_ct(f"CT {seed + 1}", seed, spacing=4.0)
        labelMapToSegmentation(stage.host.scene, labels, volume)
    panel.ui.allPairsButton.click()
    panel.ui.casesTable.selectRow(0)
    stage.grab("train-cases")
    panel.ui.casesTable.clearSelection()
    panel.ui.titleEdit.text, panel.ui.minutesBox.value = "Liver, our scanner", 2
    panel.ui.qualityBox.setCurrentIndex(panel.ui.qualityBox.findText("Fast"))
    panel.ui.trainButton.click()
    stage.wait(lambda: panel.ui.metricLabel.text or not stage.widget.services.activity.isRunning)
    stage.grab("train-running")
    panel.ui.cancelButton.click()
    stage.wait_until_idle()
    stage.wait(lambda: panel.ui.earlierTable.rowCount)
    stage.grab("train-paused")
    panel.ui.continueButton.click()
    stage.wait_until_idle(1200)
    stage.grab("train-done")
    view = SliceView(stage.host, "Red", VIEW_SIZE)
    shown = panel.lastResult.comparisons[0]
    view.show(shown.volumeNode, shown.after.GetSegmentCenterRAS("liver"))
    print(save(view.pixels(), stage.folder / "train-view.png"))


def preview(stage: Stage) -> None:
    """The Preview panel: empty and done; the linked views, the scan above and below it what the network sees."""
    import numpy as np
    from slicer_host.screenshots import SliceView, save

    panel = stage.panel("PreviewPanel")
    stage.grab("preview-empty")
    stage.add_ct()
    panel.ui.showButton.click()
    stage.wait_until_idle()
    stage.grab("preview-done")
    rows = [("Red", "Yellow", "Green"), ("Med3DRed", "Med3DYellow", "Med3DGreen")]
    slice_views = [[SliceView(stage.host, name, (300, 300)) for name in row] for row in rows]
    panel.ui.layoutButton.click()  # away and back: the views have their size by now
    panel.ui.layoutButton.click()
    picture = np.vstack([np.hstack([view.pixels() for view in row]) for row in slice_views])
    print(save(picture, stage.folder / "preview-views.png"))


def models(stage: Stage) -> None:
    """The Models panel: the card of the shipped model, and a file that is broken."""
    panel = stage.panel("ModelsPanel")
    stage.wait(lambda: not stage.widget.engine.isBusy)
    panel.ui.cardView.setMinimumHeight(620)
    stage.grab("models")
    folder = Path(os.environ["MED3D_MODELS"])
    folder.mkdir(exist_ok=True)
    (folder / "half-copied.med3d.zip").write_bytes(b"PK")
    panel.ui.refreshButton.click()
    stage.wait(lambda: panel.ui.modelsTable.item(0, 1).text() == "broken")
    panel.ui.cardView.setMinimumHeight(200)
    panel.ui.modelsTable.selectRow(0)
    stage.grab("models-broken")


def find(stage: Stage) -> None:
    """The tab Find with a detector that learned bright balls in water, and the boxes in the views."""
    import numpy as np
    from slicer_host.screenshots import SliceView, save

    from Med3DCore.geometry import Geometry
    from Med3DCore.volume import Volume
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    _learn_balls(Path(os.environ["MED3D_MODELS"]))
    stage.widget.services.catalogue.refresh()
    stage.wait(lambda: stage.widget.services.catalogue.detecting())
    z, y, x = np.meshgrid(np.arange(24) * 5.0, np.arange(96) * 2.0, np.arange(128) * 2.0, indexing="ij")
    hu = np.random.default_rng(1).normal(0, 20, z.shape)
    balls = [(60, 60, 50, 9), (170, 120, 50, 8), (180, 50, 75, 7), (90, 140, 25, 10)]
    for bx, by, bz, radius in balls:
        hu[(x - bx) ** 2 + (y - by) ** 2 + (z - bz) ** 2 < radius**2] += 150
    volume = Volume(hu.astype(np.int16), Geometry((128, 96, 24), (2.0, 2.0, 5.0)), "CT")
    node = volumeToNode(stage.host.scene, volume, "CT")
    panel = stage.panel("FindPanel")
    panel.parameterNode.inputVolume, panel.parameterNode.findLeastScore = node, 0.5
    stage.host.process_events(0.2)
    panel.ui.findButton.click()
    stage.wait_until_idle()
    rois = [row.node for row in panel._lesions._rows]
    if len(rois) > 1:
        rois[1].SetName("Cyst")
    views = [SliceView(stage.host, name, VIEW_SIZE) for name in ("Red", "Yellow", "Green")]
    panel.ui.lesionTable.selectRow(0)
    panel.ui.lesionTable.cellClicked.emit(0, 0)
    stage.host.process_events(0.3)
    stage.grab("find-done")
    place = panel._lesions._rows[0].place
    for view in views:
        view.show(node, place)
    print(save(np.hstack([view.pixels() for view in views]), stage.folder / "find-views.png"))


def _learn_balls(folder: Path) -> None:
    """A detector among the user's models, in half a minute."""
    import json
    import shutil

    sys.path.append(str(ROOT / "Testing" / "engine"))
    from lesion_sets import recipe_values, write_balls

    from Med3DCore.cli.main import main as med3d

    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        recipe = Path(name) / "recipe.json"
        recipe.write_text(json.dumps(recipe_values(steps=400)))
        data = write_balls(Path(name) / "balls", patients=12)
        if med3d(["train", str(recipe), str(data), "-o", str(run), "--device", "cpu", "--no-cache", "--quiet"]):
            raise SystemExit("The detector for the pictures could not be trained.")
        folder.mkdir(exist_ok=True)
        shutil.copy(next(run.glob("*.med3d.zip")), folder)


PARTS = {"segment": segment, "views": views, "preview": preview, "find": find, "train": train, "models": models}

if __name__ == "__main__":
    main()
