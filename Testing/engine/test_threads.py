"""Work in threads: in order, ahead of who takes it but not too far, and over when it fails or nobody wants more."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

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


SPINNING = """
import sys, time
from Med3DCore.system.threads import wait_asleep
if sys.argv[1] == "asleep":
    wait_asleep()
import torch
torch.set_num_threads(2)
x = torch.ones(1 << 17)
used = 0.0
for _ in range(300):
    x + x
    before = time.process_time()
    time.sleep(0.001)  # one of the threads has nothing to do
    used += time.process_time() - before
print(used)
"""


@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="GNU's OpenMP, two cores")
def test_threads_that_wait_leave_the_processor_to_others():
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def used(how):
        command = [sys.executable, "-c", SPINNING, how]
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert used("asleep") < used("awake") / 2
