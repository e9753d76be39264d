"""Work in threads: in order, ahead of who takes it but not too far, and over when it fails or nobody wants more."""

import threading
import time

import pytest

from Med3DCore.system.threads import ahead, in_threads


def slowly(number):
    time.sleep(0.002 * (5 - number % 5))
    if number == 13:
        raise ValueError("13")
    return number


@pytest.mark.parametrize("work", [in_threads, lambda function, items: list(ahead(function, items, 3))])
def test_results_come_in_order_and_a_failure_is_told(work):
    assert work(slowly, range(12)) == list(range(12))
    assert work(slowly, []) == []
    with pytest.raises(ValueError, match="13"):
        work(slowly, range(40))


def test_no_more_waits_than_was_asked_for_and_what_nobody_takes_is_not_made():
    made, lock = [], threading.Lock()

    def make(number):
        with lock:
            made.append(number)
        return number

    results = ahead(make, range(1000), 5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert 3 <= len(made) <= 8
    results.close()
    assert len(made) <= 8


def test_what_came_before_a_failure_is_given():
    results = ahead(slowly, range(40), 4)
    assert [next(results) for _ in range(13)] == list(range(13))
    with pytest.raises(ValueError, match="13"):
        next(results)
