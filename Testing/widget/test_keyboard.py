"""All of the module with the keyboard alone; and the mouse wheel, which scrolls the panel and changes nothing."""

import pytest
from module_helpers import addModel
from mrml_helpers import addVolume
from segment_panel_helpers import press, rows, settle, wait


@pytest.fixture
def keys():
    """Qt's own way to press keys."""
    test = pytest.importorskip("PySide6.QtTest").QTest
    qt = pytest.importorskip("PySide6.QtCore").Qt.Key
    return lambda widget, name: test.keyClick(widget, getattr(qt, f"Key_{name}"))


def focused(host):
    widget = host.qt.QApplication.focusWidget()
    return widget, widget.objectName or widget.parent().objectName  # a box of nodes has one inside


def tabThrough(module, keys, tab):
    """Names of what Tab reaches in a tab, from its title until it is there again."""
    host, panel = module.host, module.parent
    panel.show()
    panel.activateWindow()
    module.services.showTab(tab)
    for section in module.panels[tab].widget.findChildren("ctkCollapsibleButton"):
        section.collapsed = False
    host.process_events(0.1)
    module.ui.tabs.tabBar().setFocus()
    names = []
    for _ in range(40):
        keys(focused(host)[0], "Tab")
        names.append(focused(host)[1])
        if names[-1] == "qt_tabwidget_tabbar":
            return names[:-1]
    pytest.fail(f"Tab does not come back: {names}")


@pytest.fixture
def cases(module, panel, ct):
    """A volume with a result, and three cases to train with."""
    addVolume(module.services.scene, name="CT 2")
    addVolume(module.services.scene, name="CT 3")
    settle(panel)
    panel.parameterNode.severalVolumes = True
    panel.ui.allVolumesButton.click()
    press(panel, "bothButton")
    wait(panel)
    module.panels["TrainPanel"].ui.allPairsButton.click()
    module.panels["TrainPanel"].ui.casesTable.selectRow(1)
    rows(panel)


def test_tab_leaves_every_table_and_reaches_every_button(module, cases, keys):
    segment = tabThrough(module, keys, "SegmentPanel")
    wanted = ["liverButton", "resultTable", "undoButton", "trainingCaseButton", "modelSelector", "splitLungsCheckBox"]
    assert [name for name in segment if name in wanted] == wanted
    train = tabThrough(module, keys, "TrainPanel")
    wanted = ["casesTable", "allPairsButton", "removeButton", "segmentsTable", "titleEdit", "trainButton", "seedBox"]
    assert [name for name in train if name in wanted] == wanted
    assert "checkButton" in tabThrough(module, keys, "ModelsPanel")


def test_tab_reaches_the_images_of_a_model_of_several_below_the_volume(module, panel, ct, keys):
    addModel(module, "contrasts", channels=["T1", "T2", "FLAIR"])
    panel.parameterNode.model = "contrasts"
    settle(panel)
    first, second = (box for _label, box in panel._channels._rows)
    first.objectName, second.objectName = "first", "second"
    names = tabThrough(module, keys, "SegmentPanel")
    assert names[:4] == ["inputSelector", "first", "second", "severalVolumesCheckBox"]


def test_rows_are_chosen_with_arrow_keys_and_enter(module, panel, cases, keys):
    host, table = module.host, panel.ui.resultTable
    tabThrough(module, keys, "SegmentPanel")
    before = panel.parameterNode.inputVolume
    table.setFocus()
    settle(panel)
    assert panel.parameterNode.inputVolume is before  # to come by changes nothing
    for _ in range(2):
        keys(table, "Down")
    host.process_events(0.1)
    assert table.currentRow() == 2 and panel.parameterNode.inputVolume.GetName() == "CT 2"
    panel.parameterNode.inputVolume = before
    settle(panel)
    keys(table, "Return")
    assert panel.parameterNode.inputVolume.GetName() == "CT 2"


def test_a_choice_in_a_cell_is_reached_with_arrow_keys(module, cases, keys):
    host, table = module.host, module.panels["TrainPanel"].ui.casesTable
    tabThrough(module, keys, "TrainPanel")
    table.setFocus()
    for name in ("Home", "Right", "Right", "Right"):
        keys(table, name)
    assert focused(host)[0] is table.cellWidget(table.currentRow(), 3)
    keys(focused(host)[0], "Tab")
    assert focused(host)[1] == "allPairsButton"


def turnWheel(host, widget):
    """A notch of the mouse wheel over a widget, as the window system sends it."""
    core, gui = pytest.importorskip("PySide6.QtCore"), pytest.importorskip("PySide6.QtGui")
    middle = core.QPointF(widget.width / 2, widget.height / 2)
    event = gui.QWheelEvent(
        middle,
        core.QPointF(widget.mapToGlobal(middle.toPoint())),
        core.QPoint(0, -120),
        core.QPoint(0, -120),
        core.Qt.MouseButton.NoButton,
        core.Qt.KeyboardModifier.NoModifier,
        core.Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    host.qt.QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_the_wheel_over_a_panel_changes_nothing(module, panel, cases, keys):
    qt = module.host.qt
    for tab in module.panels:
        tabThrough(module, keys, tab) if tab != "FindPanel" else None
    boxes = [box for each in module.panels.values() for box in each.widget.findChildren(qt.QWidget)]
    boxes = [box for box in boxes if box.inherits("QComboBox") or box.inherits("QAbstractSpinBox")]
    assert len(boxes) > 20
    values = [box.currentIndex if box.inherits("QComboBox") else box.value for box in boxes]
    taken = [turnWheel(module.host, box) for box in boxes]
    assert values == [box.currentIndex if box.inherits("QComboBox") else box.value for box in boxes]
    assert not any(taken)  # so what is around them scrolls
