"""The command line: what it refuses, what it prints, and what a short demo leaves behind."""

import subprocess
import sys
import types

import numpy as np
import pytest
from laws import caught

from jaxanneal._demo import table
from jaxanneal._demo.cli import main

METHODS = ("SA", "PT", "PT + polish", "Adam", "SA 0-1", "PT 0-1")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["demo", "--seconds", "3"], "expected at least 20 seconds, got 3"),
        (["demo", "--seconds", "soon"], "expected at least 20 seconds, got soon"),
        (["demo", "--method", "magic"], "invalid choice: 'magic'"),
        (["demo", "--seed", "x"], "invalid int value: 'x'"),
        ([], "required: command"),
    ],
)
def test_bad_options_are_refused_with_a_word(arguments, word, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert word in capsys.readouterr().err


def test_info_prints_versions_and_devices(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for word in ("jaxanneal", "jax ", "optax", "python", "device"):
        assert word in printed


@pytest.mark.slow
def test_a_short_demo_prints_every_row_and_saves_figure_and_parameters(tmp_path):
    command = [sys.executable, "-m", "jaxanneal", "demo", "--seconds", "30", "--quiet"]
    command += ["--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert [row for row in rows if row in METHODS] == list(METHODS)
    assert (tmp_path / "out" / "demo.png").read_bytes()[:4] == b"\x89PNG"
    saved = np.load(tmp_path / "out" / "parameters.npz")
    assert {name.split(".")[0] for name in saved.files} == set(METHODS)
    assert saved["PT + polish.w1"].shape == (32, 64)


def budget_law(made, slowness):
    """On a machine that compiles slower than most the stages share what is left of the time."""
    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        clock = types.SimpleNamespace(monotonic=lambda: now[0])
        patch.setattr(table, "time", clock)
        stages = tuple(table._SHARES)
        budget = made(60.0, stages)
        for stage in stages:
            now[0] += budget.next(stage) + slowness * table._COMPILING[stage]
    assert 50 < now[0] + slowness * table._FIGURE_SECONDS < 62


@pytest.mark.parametrize("slowness", [1, 2])
def test_the_demo_keeps_its_time_on_a_slow_machine(slowness):
    budget_law(table.Budget, slowness)


def test_a_budget_that_learns_nothing_takes_longer():
    class Deaf(table.Budget):
        def next(self, stage):
            self._begun = None
            return super().next(stage)

    budget_law(Deaf, 1)
    caught(budget_law, Deaf, 2)
