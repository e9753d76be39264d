"""The Models panel in the module, with the real engine: list, card, check, import, export, remove."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from module_helpers import ROOT, openModule

sys.path.append(str(ROOT / "Testing" / "engine"))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The folder of the user's models, which does not exist yet."""
    path = tmp_path / "models"
    monkeypatch.setenv("MED3D_MODELS", str(path))
    return path


@pytest.fixture
def module(slicer_gui, folder):
    from Med3DCore.worker.launch import worker_command

    widget = openModule(slicer_gui, worker_command())
    widget.host = slicer_gui
    return widget


@pytest.fixture
def panel(module):
    return module.panels["ModelsPanel"]


@pytest.fixture
def package(tmp_path):
    """A package file of somebody, with a card that must not be trusted."""
    from test_models_package import make_package, write

    sets = [{"name": "<i>CHAOS</i>", "licence": "CC BY-SA 4.0", "attribution": "Kavur et al."}]
    cases = {"a": {"dice": 0.9, "assd_mm": 1.25}, "b": {"dice": 0.5, "assd_mm": None}}
    described = make_package(
        name="mine",
        title="Mine & <b>yours</b>",
        provenance={"data_sets": sets},
        metrics={"liver": cases},
        card="# Card\n\n![spy](http://example.com/a.png) <img src='http://example.com/b.png'> *fine*\n",
    )
    return write(tmp_path, described)


def titles(panel):
    table = panel.ui.modelsTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def choose(panel, title):
    row = next(row for row, texts in enumerate(titles(panel)) if texts[0].startswith(title))
    panel.ui.modelsTable.selectRow(row)


def press(module, button, *answers):
    """Press a button and wait for what it does; answers are for its dialogues."""
    panel, host = module.panels["ModelsPanel"], module.host
    button = getattr(panel.ui, button)
    assert button.enabled, button.toolTip
    host.dialogs.answer(*answers)
    button.click()
    settle(module)


def settle(module):
    engine = module.engine
    assert module.host.process_events(120, until=lambda: not engine.isBusy and not module.services.activity.isRunning)


def message(module):
    return "" if module.ui.messageFrame.isHidden() else module.ui.messageLabel.text


def reasons(panel):
    """Why the four buttons are disabled; the hint says each reason once."""
    ui = panel.ui
    buttons = (ui.importButton, ui.exportButton, ui.checkButton, ui.removeButton)
    found = [button.toolTip for button in buttons if not button.enabled]
    assert "\n".join(dict.fromkeys(found)) == ui.hintLabel.text and ui.hintLabel.isHidden() == (not found)
    return [None if button.enabled else button.toolTip for button in buttons]


def test_a_model_comes_is_read_and_checked_and_goes(module, panel, package, folder, tmp_path):
    qt, ui = module.host.qt, panel.ui
    before = titles(panel)
    assert before and all(texts[1] == "Med3D" for texts in before)
    press(module, "importButton", str(package))
    assert "mine-1.0.0 was imported" in ui.statusLabel.text and not ui.statusLabel.isHidden()
    assert ["Mine & <b>yours</b> 1.0.0", "yours"] in [texts[:2] for texts in titles(panel)]
    assert "mine-1.0.0" in [model.reference for model in module.services.catalogue.segmenting()]

    card = ui.cardView.toPlainText()  # of the new one, which is chosen; its tags are text
    for text in ("Mine & <b>yours</b>", "Liver", "CC BY-SA 4.0", "liver-0.9.0", "<i>CHAOS</i>", "Kavur et al.", "0.700",
                 "0.500", "1.2 mm", 'what the stage "coarse" found', str(folder), "one of your own"):  # fmt: skip
        assert text in card
    assert not ui.wholeCardSection.isHidden() and "fine" in ui.wholeCardView.toPlainText()
    assert "![" not in ui.wholeCardView.toMarkdown() and "<img" not in ui.wholeCardView.toHtml()

    press(module, "checkButton")
    assert "mine-1.0.0 is sound" in ui.statusLabel.text and message(module) == ""
    press(module, "exportButton", str(tmp_path / "given away"))
    assert (tmp_path / "given away.med3d.zip").read_bytes() == package.read_bytes()
    press(module, "removeButton", qt.QMessageBox.No)
    assert (folder / "mine-1.0.0.med3d.zip").exists()
    press(module, "removeButton", qt.QMessageBox.Yes)
    assert "was deleted" in ui.statusLabel.text and list(folder.iterdir()) == [] and titles(panel) == before
    assert module.services.catalogue.find("mine-1.0.0") is None


def test_a_checkpoint_becomes_an_encoder_to_start_from(module, panel, folder, tmp_path):
    from test_models_checkpoints import make_encoder, make_file

    path = str(make_file(tmp_path / "resnet_10_23dataset.pth", make_encoder().state_dict()))
    press(module, "importButton", path, "")  # no licence: Cancel
    assert not folder.exists()
    press(module, "importButton", path, "MIT")
    card = panel.ui.cardView.toPlainText()
    assert "encoder" in card and "MIT" in card and "resnet_10_23dataset-1.0.0" in card
    assert module.services.catalogue.find("resnet_10_23dataset-1.0.0").organs == {}
    question = module.host.qt.QMessageBox
    press(module, "importButton", path, "mine", question.No)
    press(module, "importButton", path, "mine alone", question.Yes)
    assert "mine alone" in panel.ui.cardView.toPlainText() and message(module) == ""


def pressNnunet(module, entry, *answers):
    """Choose an entry of the button's menu and wait for what it does; answers are for its dialogues."""
    ui, host = module.panels["ModelsPanel"].ui, module.host
    assert ui.nnunetButton.enabled, ui.nnunetButton.toolTip
    host.dialogs.answer(*answers)
    ui.nnunetButton.menu().actions()[entry].trigger()
    settle(module)


FOLDER, ZIP = 0, 1


def test_models_of_nnunet_come_from_a_folder_and_from_a_zip(module, panel, tmp_path, monkeypatch):
    from nnunet_folders import write_results

    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path / "home"))
    results = tmp_path / "home" / "nnunet" / "results"
    model = write_results(results, folds=2, labels={"background": 0, "kidney_left": 1, "vertebrae_L5": 2})
    from Med3DSegmentationLib.panels.models.nnunet_button import usualFolder

    assert usualFolder() == str(results)
    pressNnunet(module, FOLDER, str(results), "")  # no licence: Cancel
    assert module.services.catalogue.find("dataset099-tiny-3d-fullres-1.0.0") is None
    pressNnunet(module, FOLDER, str(results), "CC0")
    reference = module.services.catalogue.segmenting()[0].reference
    assert reference == "dataset099-tiny-3d-fullres-1.0.0"
    assert panel.ui.statusLabel.text == f"{reference} was imported. It finds 2 labels and needs: image0."
    card = panel.ui.cardView.toPlainText()
    assert "Left kidney" in card and "CC0" in card and "fold 0, 1" in card

    shutil.make_archive(str(tmp_path / "export"), "zip", results)
    question = module.host.qt.QMessageBox
    pressNnunet(module, ZIP, str(tmp_path / "export.zip"), "mine", question.No)
    assert "CC0" in panel.ui.cardView.toPlainText()
    pressNnunet(module, ZIP, str(tmp_path / "export.zip"), "mine", question.Yes)
    assert "mine" in panel.ui.cardView.toPlainText() and message(module) == ""

    (model / "plans.json").write_text("{}")
    pressNnunet(module, FOLDER, str(model), "CC0")
    assert "plans.json" in message(module)
    module.messages.clear()
    pressNnunet(module, FOLDER, str(tmp_path / "nowhere"))
    assert "There is no folder or file" in message(module)


def test_of_several_models_of_nnunet_all_or_one_are_taken(module, panel, tmp_path):
    from nnunet_folders import write_results

    for configuration in ("3d_fullres", "3d_lowres", "2d"):
        write_results(tmp_path, configuration=configuration)
    lowres = "Dataset099_Tiny/nnUNetTrainer__nnUNetPlans__3d_lowres"
    pressNnunet(module, FOLDER, str(tmp_path), "")  # no choice: Cancel
    pressNnunet(module, FOLDER, str(tmp_path), lowres, "CC0")
    own = lambda: [each.reference for each in module.services.catalogue.segmenting() if not each.values["shipped"]]  # noqa: E731
    assert own() == ["dataset099-tiny-3d-lowres-1.0.0"]
    (tmp_path / "Dataset099_Tiny" / "nnUNetTrainer__nnUNetPlans__2d" / "dataset.json").unlink()  # refused; others go on
    pressNnunet(module, FOLDER, str(tmp_path), "All 3 models", "CC0", module.host.qt.QMessageBox.No)
    assert own() == ["dataset099-tiny-3d-fullres-1.0.0", "dataset099-tiny-3d-lowres-1.0.0"]
    first, *reasons = panel.ui.statusLabel.text.split("\n")
    assert first == "1 of 3 models were imported." and message(module) == ""
    assert "lacks dataset.json" in reasons[0] and "called dataset099-tiny-3d-lowres-1.0.0 already" in reasons[1]


def test_an_import_of_nnunet_can_be_cancelled(module, panel, tmp_path, folder):
    from nnunet_folders import write_results

    module.host.dialogs.answer(str(write_results(tmp_path)), "CC0")
    panel.ui.nnunetButton.menu().actions()[FOLDER].trigger()
    assert panel.ui.nnunetButton.toolTip == "Models are being looked for." and not panel.ui.progressRow.isHidden()
    panel.ui.cancelButton.click()
    settle(module)
    assert "Cancelled" in message(module) and not folder.exists()
    module.host.dialogs.clear()


def test_files_that_are_no_models_get_a_sentence(module, panel, folder, tmp_path):
    for name, text in (("notes.zip", "hello"), ("weights.pth", "hello"), ("half.med3d.zip", "PK")):
        (tmp_path / name).write_text(text)
        answers = (str(tmp_path / name), "MIT") if name.endswith(".pth") else (str(tmp_path / name),)
        press(module, "importButton", *answers)
        assert name in message(module) and not folder.exists()
        module.messages.clear()
    press(module, "importButton", "")  # Cancel
    assert message(module) == ""


def test_a_broken_file_is_listed_and_can_only_be_removed(module, panel, package, folder):
    folder.mkdir()
    (folder / "bad.med3d.zip").write_bytes(package.read_bytes()[:1000])
    panel.ui.refreshButton.click()
    settle(module)
    choose(panel, "bad")
    assert ["bad", "broken", "0.0 MB"] in titles(panel) and "bad.med3d.zip" in panel.ui.cardView.toPlainText()
    assert reasons(panel)[1] == "This file is broken; it can only be removed."
    press(module, "checkButton")
    assert "bad.med3d.zip" in message(module)
    press(module, "removeButton", module.host.qt.QMessageBox.Yes)
    assert list(folder.iterdir()) == []


def test_why_a_button_cannot_be_pressed(module, panel):
    assert reasons(panel)[:3] == [None, None, None]
    assert reasons(panel)[3] == "This model came with Med3D and cannot be removed."
    module.services.activity.begin("A training is running.")
    assert reasons(panel) == ["A training is running."] * 4
    module.services.activity.end()
    module.services.installer = SimpleNamespace(isReady=lambda: False, reason=lambda: "PyTorch is missing.")
    panel.refresh()
    assert reasons(panel)[0] == reasons(panel)[2] == "PyTorch is missing." and reasons(panel)[1] is None
    module.services.catalogue.models = None
    panel.onModelsChanged()
    assert titles(panel) == [] and reasons(panel)[1] == "The models are being looked for..."


def test_what_runs_can_be_cancelled(module, panel):
    panel.ui.checkButton.click()
    assert not panel.ui.progressRow.isHidden() and panel.ui.checkButton.toolTip == "A model is being checked."
    panel.ui.cancelButton.click()
    settle(module)
    assert "Cancelled" in message(module) and panel.ui.progressRow.isHidden() and panel.ui.checkButton.enabled
    press(module, "checkButton")
    assert "is sound" in panel.ui.statusLabel.text


def test_a_card_says_that_it_waits_for_what_runs(module, panel):
    settle(module)
    module.services.activity.begin("A training is running.")
    panel.ui.modelsTable.selectRow(1)
    assert not module.engine.isBusy and "A training is running. Where" in panel.ui.cardView.toPlainText()
    assert not panel.ui.refreshButton.enabled and panel.ui.refreshButton.toolTip == "A training is running."
    module.services.activity.end()
    settle(module)
    assert "Data it was made with" in panel.ui.cardView.toPlainText() and panel.ui.refreshButton.enabled


def test_the_folder_is_shown_and_opened(module, panel, folder, monkeypatch):
    opened = []
    monkeypatch.setattr(module.host.qt.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    assert str(folder) in panel.ui.folderLabel.text
    panel.ui.folderButton.click()
    assert opened == [str(folder)] and folder.is_dir()
    folder.rmdir()
    folder.write_bytes(b"a file in its place")
    panel.ui.folderButton.click()
    assert len(opened) == 1 and f"The folder {folder} cannot be made" in message(module)


def test_pictures_and_tags_never_survive_in_a_card():
    from Med3DSegmentationLib.panels.models.model_card import safeMarkdown

    assert "![" not in safeMarkdown("![a](b) !![a](b) !!![a][b]")
    assert "<" not in safeMarkdown("<img src=x> <a href='y'>")
    assert safeMarkdown("a | b\n--|--\n1 > 0!") == "a | b\n--|--\n1 > 0!"


def test_all_texts_can_be_translated(make_slicer_gui, folder):
    host = make_slicer_gui(translation=True)
    widget = openModule(host)
    ui = widget.panels["ModelsPanel"].ui
    texts = [ui.importButton.text, ui.hintLabel.text, ui.folderLabel.text, ui.wholeCardSection.text]
    assert all(text.startswith("«") for text in texts)
    assert ui.modelsTable.horizontalHeaderItem(0).text() == "«Model»"
    assert Path(widget.services.catalogue.folder) == folder
