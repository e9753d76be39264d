"""Ctrl-C stops a training between two steps; a second one at once."""

import os
import signal

import pytest

from Med3DCore.cli.stopping import stopped_gently


def test_the_first_ctrl_c_is_a_wish_and_the_second_is_heeded_at_once(capsys):
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for jobs in the background
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stopped_gently() as is_stopped:
        assert not is_stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert is_stopped() and "Stopping after this step" in capsys.readouterr().err
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, earlier) is before
