"""What the tests of the Segment panel do and look at, as a user would."""


def wait(panel, seconds=60):
    """Until nothing runs any more."""
    host = panel.host
    assert host.process_events(seconds, until=lambda: not panel.services.activity.isRunning)
    host.process_events(0.05)


def settle(panel):
    panel.host.process_events(0.05)


def rows(panel, columns=3):
    """What the table shows when it has measured what changed."""
    panel.host.process_events(0.35)
    table = panel.ui.resultTable
    return [[table.item(row, column).text() for column in range(columns)] for row in range(table.rowCount)]


def press(panel, name):
    button = getattr(panel.ui, name)
    assert button.enabled, button.toolTip
    button.click()


def reason(panel, button="liverButton"):
    """Why a button is disabled, as its tool tip and the hint say; "" if it is enabled."""
    settle(panel)
    widget = getattr(panel.ui, button)
    if widget.enabled:
        return ""
    assert widget.toolTip and widget.toolTip == panel.ui.hintLabel.text and not panel.ui.hintRow.isHidden()
    return widget.toolTip


def shown(panel, segmentationNode):
    surface = "Closed surface"
    segmentation = segmentationNode.GetSegmentation()
    count = segmentation.GetNumberOfSegments()
    return count and all(segmentation.GetNthSegment(i).GetRepresentation(surface) for i in range(count))


def array(volumeNode):
    import slicer.util

    return slicer.util.arrayFromVolume(volumeNode)
