"""Checkpoints of a run over processes: killed and called again it is the run that never was."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import kept
import pytest
from spread import digest

import jaxanneal as ja
from jaxanneal._files import directory as directories


def two(directory, what, kill_at=None):
    """Run two processes, and return what each one printed; kill both in mid-run if so asked."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", kept.__file__, "2"]
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(ja.__file__).parent.parent)}
    pipe = {"stdout": subprocess.PIPE, "text": True, "env": environment}
    runs = [
        subprocess.Popen([*command, str(rank), str(port), str(directory), what], **pipe)
        for rank in range(2)
    ]
    if kill_at is not None:
        while not (directory.is_dir() and directories.names(directory)[:1] >= [kill_at]):
            assert [run.poll() for run in runs] == [None] * 2
            time.sleep(0.01)
        for run in runs:
            run.send_signal(signal.SIGKILL)
    printed = [run.communicate(timeout=300)[0] for run in runs]
    ended = 0 if kill_at is None else -signal.SIGKILL
    assert [run.returncode for run in runs] == [ended] * 2
    return [re.findall(r"^(?:began|digest|refused|alone) (.+)$", text, re.M) for text in printed]


def goes_on_law(directory, expected):
    """What two processes left goes on in one, on its two devices or on one of them."""
    for devices in (2, 1):
        copy = directory.with_name(f"{directory.name} on {devices}")
        shutil.copytree(directory, copy)
        assert digest(kept.run(devices, checkpoint=ja.Checkpoint(copy))) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_two_processes_killed_go_on_together_and_in_a_single_one(tmp_path):
    expected = digest(kept.run(1))
    assert two(tmp_path / "run", "save", kill_at="save_000007.jaxanneal") == [["1"]] * 2
    goes_on_law(tmp_path / "run", expected)
    one, (*other, alone) = two(tmp_path / "run", "on")
    first, found, refused = one
    assert other == one
    assert int(first) > 6  # not anew
    assert found == expected
    assert "steps = 80, got steps = 81. Make that call again" in refused
    assert alone == "True"  # the second process may keep runs of its own


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_a_save_without_the_chains_of_the_other_process_is_caught(tmp_path):
    two(tmp_path / "run", "twin", kill_at="save_000007.jaxanneal")
    with pytest.raises(AssertionError):
        goes_on_law(tmp_path / "run", digest(kept.run(1)))
