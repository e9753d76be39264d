"""The stand-in host's application: a module's life, messages, translation, services."""

import pytest


def test_module_lives_as_in_slicer(slicer_gui, toy, tmp_path):
    import slicer
    from slicer_host.screenshots import PANEL_WIDTH, grab

    module = slicer_gui.load_module(toy)
    assert (module.title, slicer.util.modulePath("HostToy")) == ("Toy", str(toy))
    assert slicer_gui.services.samples[0]["sampleName"] == "ToyCT"
    widget = slicer_gui.open_module("HostToy")
    assert slicer.util.getModuleWidget("HostToy") is widget
    slicer.mrmlScene.Clear(0)
    slicer_gui.leave_module("HostToy")
    assert grab(widget, tmp_path / "panel.png").width() == PANEL_WIDTH
    assert (tmp_path / "panel.png").stat().st_size > 1000
    slicer_gui.unload_module("HostToy")
    assert widget.events == ["enter", "close", "exit", "cleanup"]
    with pytest.raises(AttributeError):
        module.tittle = "x"


def test_messages_are_recorded_and_questions_need_answers(slicer_gui, toy):
    import slicer

    slicer_gui.load_module(toy)
    button = slicer_gui.open_module("HostToy").ui.applyButton
    slicer_gui.dialogs.answer(slicer_gui.qt.QMessageBox.Cancel, slicer_gui.qt.QMessageBox.Ok)
    button.click()
    assert slicer_gui.slot_errors == []
    button.click()
    assert slicer_gui.dialogs.texts("question") == ["Sure?", "Sure?"]
    assert slicer_gui.dialogs.texts("critical") == ["Failed.\n\nno liver"]
    assert "ValueError" in slicer_gui.dialogs.shown[-1].detail
    assert [str(error) for error in slicer_gui.slot_errors] == ["no liver"]
    slicer_gui.slot_errors.clear()
    with pytest.raises(AssertionError, match="would wait for an answer"):
        slicer.util.confirmYesNoDisplay("Really?")
    with pytest.raises(AssertionError, match="would wait for an answer"):
        slicer_gui.qt.QFileDialog.getOpenFileName(None, "Open")
    slicer.util.infoDisplay("Done")
    assert slicer_gui.dialogs.texts("information") == ["Done"]


def test_qt_complaints_fail_the_test(slicer_gui):
    qt = slicer_gui.qt
    window = qt.QWidget()
    qt.QVBoxLayout(window)
    qt.QVBoxLayout(window)
    with pytest.raises(AssertionError, match="already has a layout"):
        slicer_gui.expect_no_slot_errors()
    slicer_gui.qt_warnings.clear()


def test_every_text_can_be_marked_as_translated(make_slicer_gui, toy):
    host = make_slicer_gui(translation=True)
    assert host.load_module(toy).title == "«Toy»"
    ui = host.open_module("HostToy").ui
    assert (ui.applyButton.text, ui.inputs.text, ui.label.text) == ("«Apply»", "«Inputs»", "«CT:»")


def test_services_record(make_slicer_gui):
    host = make_slicer_gui()
    import PyTorchUtils
    import slicer.packaging

    assert not slicer.packaging.pip_check("scipy>=1.13")
    slicer.packaging.pip_ensure(["scipy>=1.13"], requester="Med3D")
    assert slicer.packaging.pip_check("scipy")
    with pytest.raises(TypeError):
        slicer.packaging.pip_install("x", parent=None)
    logic = PyTorchUtils.PyTorchUtilsLogic()
    assert not logic.torchInstalled()
    assert logic.installTorch(askConfirmation=True) is None  # declined
    host.services.installable_torch = object()
    assert logic.torch is host.services.torch is not None
    assert [name for name, _ in host.services.calls] == ["pip_ensure", "installTorch", "installTorch"]


def test_pytorch_extension_may_be_missing(make_slicer_gui):
    make_slicer_gui(pytorch_extension=False)
    with pytest.raises(ImportError):
        import PyTorchUtils  # noqa: F401
