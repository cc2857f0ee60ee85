"""SIGKILL at random moments: the same call goes on, and ends as if nothing had happened."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import killed
import numpy as np
import pytest
from runs import assert_same_run

import jaxanneal as ja
from jaxanneal._files import directory as directories

# Most kills wait for a new save, after which there is one after every step; every fourth does not,
# and finds the run importing, compiling or reading what was saved.
_AFTER_A_SAVE, _AT_ANY_TIME = (0.0, 0.6), (0.0, 2.0)


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, "-W", "ignore", killed.__file__]
    root = str(pathlib.Path(ja.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        yield process
        process.stdin.close()


def newest(directory):
    names = directories.names(directory)
    return directories._number(names[0]) if names else 0


def wait_for_a_save(directory, last):
    deadline = time.monotonic() + 60  # on however slow a machine
    while newest(directory) == last and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(kills, server, tmp_path):
    random, last = np.random.default_rng(kills), 0
    for number in range(1, kills + 1):
        server.stdin.write(f"{tmp_path}\n")
        server.stdin.flush()
        child = int(server.stdout.readline())
        if number % 4:
            wait_for_a_save(tmp_path, last)
        time.sleep(random.uniform(*(_AFTER_A_SAVE if number % 4 else _AT_ANY_TIME)))
        os.kill(child, signal.SIGKILL)
        assert int(server.stdout.readline()) == signal.SIGKILL
        last = newest(tmp_path)
    assert last >= kills  # killed runs went on from each other
    assert_same_run(killed.run(checkpoint=ja.Checkpoint(tmp_path)), killed.run())
