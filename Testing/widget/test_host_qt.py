"""The stand-in host's Qt: as PythonQt does it, and strict where PythonQt is."""

import pytest


def test_properties_are_attributes(slicer_gui):
    qt = slicer_gui.qt
    button = qt.QPushButton("x")
    button.text, button.enabled, button.checkable, button.name = "Go", False, True, "go"
    assert (button.text, button.enabled, button.isCheckable(), button.objectName) == ("Go", False, True, "go")
    assert (button.className(), button.sizeHint.width() > 0) == ("QPushButton", True)
    box = qt.QComboBox()
    box.addItem("a", "data")
    assert (box.count, box.currentText, box.currentData) == (1, "a", "data")


def test_enumerations_are_ints(slicer_gui):
    qt = slicer_gui.qt
    label = qt.QLabel("a")
    assert type(label.alignment) is int
    assert label.alignment == 129
    label.alignment = 132
    assert label.alignment == qt.Qt.AlignCenter
    assert qt.QCheckBox().checkState() == 0
    assert qt.QProcess().state() == qt.QProcess.NotRunning == 0


def test_connect_by_signature(slicer_gui):
    qt, got = slicer_gui.qt, []
    button = qt.QPushButton("x")
    button.checkable = True
    button.connect("clicked(bool)", got.append)
    button.connect("clicked()", lambda: got.append("none"))
    button.connect("toggled(bool)", one := lambda: got.append("fewer"))
    button.click()
    assert got == ["fewer", True, "none"]
    assert button.disconnect("toggled(bool)", one) is True
    assert button.disconnect("toggled(bool)", one) is False
    got.clear()
    button.click()
    assert "fewer" not in got
    with pytest.raises(ValueError, match="no signal clickd"):
        button.connect("clickd(bool)", print)
    with pytest.raises(ValueError, match="no signal"):
        button.connect("clicked(int)", print)


def test_objects_made_by_qt_connect_too(slicer_gui):
    got, box = [], slicer_gui.qt.QComboBox()
    box.setEditable(True)
    box.lineEdit().connect("textChanged(QString)", lambda text: got.append(text))
    box.lineEdit().text = "liver"
    assert got == ["liver"]


def test_unknown_attributes_raise(slicer_gui):
    qt = slicer_gui.qt
    button = qt.QPushButton("x")
    with pytest.raises(AttributeError, match=r"C\+\+ objects is not allowed: QPushButton.tooltip"):
        button.tooltip = "wrong case"
    with pytest.raises(AttributeError, match="cannot be written"):
        button.width = 3
    with pytest.raises(AttributeError):
        button.doesNotExist  # noqa: B018
    with pytest.raises(AttributeError):
        qt.QTimer().singleShot = True
    button.setProperty("SlicerParameterName", "a")
    button.SlicerParameterName = "b"
    assert button.property("SlicerParameterName") == "b"

    class Mine(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.own = 1

    assert Mine().own == 1


def test_find_children_by_class_name(slicer_gui):
    qt = slicer_gui.qt
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    for name in ("a", "b"):
        button = qt.QPushButton(name)
        button.name = name
        layout.addWidget(button)
    assert [child.name for child in window.findChildren("QPushButton")] == ["a", "b"]
    assert window.findChild(qt.QPushButton, "b").text == "b"
    assert window.findChild("QLabel") is None
    window.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        window.show()


def test_process_and_timer(slicer_gui):
    import sys

    qt, got = slicer_gui.qt, []
    process = qt.QProcess()
    process.connect("readyReadStandardOutput()", lambda: got.append(bytes(process.readAllStandardOutput().data())))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: got.append((code, status)))
    process.start(sys.executable, ["-c", "print('hello')"])
    assert slicer_gui.process_events(20, until=lambda: len(got) == 2)
    assert got[0].strip() == b"hello"
    assert got[1] == (0, 0)
    assert type(got[1][1]) is int
    qt.QTimer.singleShot(0, lambda: got.append("fired"))
    assert slicer_gui.process_events(5, until=lambda: got[-1] == "fired")


def test_settings_are_private(slicer_gui):
    settings = slicer_gui.qt.QSettings()
    settings.setValue("Med3D/x", 3)
    assert settings.fileName().startswith(str(slicer_gui.folder))
    assert slicer_gui.app.settings().value("Med3D/x") in (3, "3")
