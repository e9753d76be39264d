"""The time left that is told: reckoned from what is done, never against what the user gave."""

import pytest

from Med3DCore.progress import Progress


class Clock:
    """Goes only when it is told to."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("Med3DCore.progress.time", clock)
    return clock


def followed():
    told = []
    return Progress(lambda stage, fraction, left: told.append((stage, fraction, left))), told


def test_what_happens_once_is_not_reckoned_with(clock):
    progress, told = followed()
    clock.now += 30  # in the queue of the worker
    with progress.stage("start torch"):
        clock.now += 20
    with progress.stage("network", share=0.5):
        clock.now += 5
        progress.update(0.5)
    assert told[0] == ("start torch", 0.0, None) and told[-1] == ("network", 0.25, pytest.approx(15))
    assert progress.elapsed == 55 and progress.timeline == {"start torch": 20, "network": 5}


def test_a_stage_within_one_that_happens_once_is_not_taken_off_twice(clock):
    progress, told = followed()
    with progress.stage("prepare cases"), progress.stage("read"):
        clock.now += 20
    with progress.stage("train", share=1.0):
        clock.now += 10
        progress.update(0.5)
    assert told[-1] == ("train", 0.5, pytest.approx(10))


def test_no_more_is_told_than_the_user_gave_while_it_lasts(clock):
    progress, told = followed()
    progress.within(60)
    with progress.stage("check on CT", share=0.06):
        clock.now += 18
        progress.update(1.0)
    assert told[-1][2] == pytest.approx(42)  # not 282
    with progress.stage("train", share=0.94):
        clock.now += 2
        progress.update(0.9)
        assert told[-1][2] == pytest.approx(20 * 0.094 / 0.906)  # sooner done than it may take
        clock.now += 60
        progress.update(0.9)
        assert told[-1][2] == pytest.approx(80 * 0.094 / 0.906)
