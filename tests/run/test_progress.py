"""The bar on a terminal, in a notebook and in a log file, and what a callback sees."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import types

import numpy as np
import pytest
from runs import eager

import jaxanneal as ja
from jaxanneal._run import progress as _progress
from jaxanneal._run.progress import Progress, RunBar

LADDER = ja.ParallelTempering(temperatures=[1, 4, 16], ladders=2, warmup=20)


def terraces(x):
    return np.float32(1) * (x.round() ** 2).sum()


def parabola(x):
    return x**2


def run(**settings):
    settings = {"method": LADDER, "steps": 100} | settings
    return ja.anneal(terraces, np.float32([5, -7]), key=0, move=ja.moves.Gaussian(0.5), **settings)


def progress(step=50, steps=100, seconds=2.0, evaluations=2000, energy=-0.123456789, hot=0.5):
    temperatures = np.array([[1.25e-5, hot]])
    return Progress(step, steps, energy, temperatures, 0.234, evaluations, seconds)


def best_states_law(seen):
    """Each look has the best state of its own moment, though read when the run is over."""
    energies = [float(terraces(look.best_params)) for look in seen]
    assert energies == [look.best_energy for look in seen]
    assert len(set(energies)) > 2


@pytest.mark.parametrize(
    "block", [pytest.param(6, marks=pytest.mark.slow), 3]
)  # of two blocks each has a device, where there are two
def test_the_best_state_of_a_look_is_that_of_its_moment(block, monkeypatch):
    eager(monkeypatch)
    seen = []
    result = run(block=block, callback=seen.append, steps=40)
    best_states_law(seen)
    np.testing.assert_array_equal(seen[-1].best_params, result.params)
    last = seen[-1]._best
    with pytest.raises(AssertionError):  # a twin that reads what the run has in the end
        best_states_law([look.with_best(*last) for look in seen])


def test_a_copy_of_a_look_says_that_it_has_no_state():
    seen = []
    run(callback=seen.append, steps=40)
    assert seen[0]._fields == tuple(seen[0]._asdict())  # numbers alone: what is printed is short
    with pytest.raises(AttributeError, match=r"^progress: .*callback, got a copy.*Read best_par"):
        _ = seen[0]._replace(step=3).best_params


def test_a_callback_may_stop_by_the_exception_of_iterators():
    def callback(progress):
        raise StopIteration

    result = run(callback=callback)
    assert result.stop_reason is ja.StopReason.CALLBACK
    assert 0 < result.steps < 100


class Terminal:
    """A standard error that says that it is a terminal, but not how wide."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True

    def fileno(self):
        raise OSError


def drawn(columns, monkeypatch, **settings):
    """Return each state of the line on a terminal so many columns wide."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with RunBar(100, None) as bar:
        bar.bar.dynamic_ncols = lambda file: (columns, 24)
        bar.begin(0, 0.0, 100)
        for step in (1, 50, 100):
            bar.bar.last_print_t -= 1.0  # each update comes a second after the last
            bar.update(progress(step, **settings))
    return [line for line in re.split(r"[\r\n]", terminal.text) if line.strip()]


def test_the_bar_in_a_log_shows_energy_temperature_acceptance_and_speed(capsys):
    result = run(progress=True)
    shown = capsys.readouterr().err
    for text in ("anneal: 100%", "100/100", f"E={result.energy:.6g}", "T=1..16", "acc=", "eval/s"):
        assert text in shown


@pytest.mark.parametrize("shown", [None, False])
def test_without_a_bar_nothing_reaches_the_file_descriptors(shown, capfd):
    run(progress=shown)  # no terminal here
    ja.anneal(parabola, 1.0, key=0, steps=64, progress=shown)  # calibrates
    assert capfd.readouterr() == ("", "")


def test_progress_false_is_silent_on_a_terminal_too(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(progress=False)
    assert terminal.text == ""
    run()
    assert "anneal: 100%" in terminal.text


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("energy", [-1.23456789e-12, 0.5, 123456.789])
def test_the_line_on_a_terminal_never_wraps(columns, energy, monkeypatch):
    lines = drawn(columns, monkeypatch, energy=energy)
    assert lines[0].strip() == "anneal: compiling"
    assert max(map(len, lines)) <= columns
    last = lines[-1]
    parts = ["anneal: 100%", "E=", "T="]
    parts += ["acc=0.23", "1.00k eval/s"] if columns >= 80 else []
    parts += ["100/100", "█"] if columns >= 120 else []
    assert [part for part in parts if part not in last] == []


def test_sixty_columns_hold_everything_for_usual_numbers(monkeypatch):
    assert drawn(60, monkeypatch)[-1].strip() == (
        "anneal: 100% E=-0.1235 T=1e-05..0.5 acc=0.23 1.00k eval/s"
    )


@pytest.mark.parametrize("size", [(24, 80), (24, 0), (0, 80)])  # 0: the terminal does not tell
def test_the_phases_before_the_first_move_are_named_and_give_way_to_the_bar(size, monkeypatch):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        ja.anneal(parabola, 1.0, key=0, steps=64)
        terminal.write("$ ")  # the prompt that follows
    shown = ""
    while not shown.endswith("$ "):
        shown += os.read(master, 10_000).decode()
    os.close(master)
    states = [line.strip() for line in shown.split("\r")]
    assert states[:3] == ["", "anneal: compiling", "anneal: calibrating"]
    assert states[-2].startswith("anneal: 100%") and "64/64" in states[-2]
    assert states[-1] == "$"  # the prompt leaves the last line alone
    assert shown.count("\n") == 1


def test_a_refused_call_leaves_no_line_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(TypeError, match="a method"):
        run(method=3)
    assert terminal.text.split("\r")[-1].strip() == ""
    assert "\n" not in terminal.text


def logged(hours, capsys):
    """Return the lines of a run of so many hours that reports every half second."""
    clock = [0.0]
    with RunBar(10**9, True) as bar:
        bar.bar._time = lambda: clock[0]
        bar.bar.start_t = bar.bar.last_print_t = 0.0
        bar.begin(0, 0.0, 100)
        for half_second in range(1, int(7200 * hours) + 1):
            clock[0] = half_second / 2
            bar.update(progress(half_second, 10**9, clock[0], 1000 * half_second))
    shown = capsys.readouterr().err
    assert "\r" not in shown
    return shown.splitlines()


@pytest.mark.parametrize(("hours", "fewest", "most"), [(1 / 60, 5, 8), (1, 60, 120)])
def test_a_log_gets_a_line_now_and_then(hours, fewest, most, capsys):
    lines = logged(hours, capsys)
    assert fewest <= len(lines) <= most
    assert len(set(lines)) == len(lines)
    assert lines[0] == "anneal: compiling"
    assert all(line.isascii() and "2.00k eval/s" in line for line in lines[1:])


def timed_law(bar_of, capsys):
    """Of moves and time the nearer end decides the percentage, and how long it will take."""
    for step, seconds, percent, left in ((10, 6.0, 60, "00:04"), (80, 6.0, 80, "00:01")):
        clock = [0.0]
        with bar_of(100, True, 10.0) as bar:
            bar.bar._time = lambda clock=clock: clock[0]
            bar.bar.start_t = bar.bar.last_print_t = 0.0
            bar.begin(0, 0.0, 100)
            clock[0] = seconds
            bar.update(progress(step, seconds=seconds))
        shown = capsys.readouterr().err
        assert f"anneal:  {percent}% {step}/100 [00:06<{left}]" in shown


def test_time_that_runs_out_moves_the_bar_and_the_twin_that_counts_moves_alone_fails(capsys):
    timed_law(RunBar, capsys)
    with pytest.raises(AssertionError):
        timed_law(lambda steps, shown, _: RunBar(steps, shown), capsys)


def test_calibration_takes_its_share_of_the_time_but_is_no_speed(capsys):
    clock = [0.0]
    with RunBar(100, True, 10.0) as bar:
        bar.bar._time = lambda: clock[0]
        bar.bar.start_t = bar.bar.last_print_t = 0.0
        bar.begin(0, 5.0, 100)
        clock[0] = 1.0
        bar.update(progress(1, seconds=6.0))
    assert "anneal:  60% 1/100 [00:01<00:04]" in capsys.readouterr().err


def test_a_run_that_time_ends_shows_that_it_is_over(capsys):
    result = run(steps=10**9, max_seconds=0.5, progress=True)
    assert result.stop_reason is ja.StopReason.TIME
    last = re.findall(r"anneal: +(\d+)%", capsys.readouterr().err)[-1]
    assert int(last) > 80  # the last look may come a moment before the end; of moves it is 0 %


def test_speed_leaves_out_what_earlier_calls_evaluated(capsys):
    with RunBar(100, True) as bar:
        bar.begin(1_000_000, 3.0, 100)
        bar.update(progress(100, seconds=5.0, evaluations=1_002_000))
    assert "1.00k eval/s" in capsys.readouterr().err


def test_a_notebook_gets_one_output_that_is_replaced(monkeypatch, capfd):
    outputs = {}

    def display(bundle, raw, display_id):
        assert raw and display_id is True
        name = len(outputs)
        outputs[name] = [bundle["text/plain"]]
        replace = lambda new, raw: outputs[name].append(new["text/plain"])  # noqa: E731
        return types.SimpleNamespace(update=replace)

    kernel = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(
        sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel, display=display)
    )
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    assert _progress._in_notebook()
    run()
    assert list(outputs) == [0]
    assert outputs[0][0] == "anneal: compiling"
    assert "100/100" in outputs[0][-1]
    assert capfd.readouterr() == ("", "")


def test_an_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    shell = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert not _progress._in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not _progress._in_notebook()


def test_a_callback_collects_what_a_live_plot_needs():
    rows = []

    def collect(seen):
        ends = seen.temperatures.min(), seen.temperatures.max()
        rows.append((seen.step, seen.best_energy, *ends, seen.acceptance_rate, seen.seconds))

    result = run(callback=collect, progress=False)
    steps, energies, cold, hot, accepted, seconds = np.array(rows).T
    assert np.all(np.diff(steps) > 0) and steps[-1] == 100
    assert np.all(np.diff(energies) <= 0) and energies[-1] == result.energy
    assert np.all(cold == 1) and np.all(hot == 16)
    assert np.all((accepted >= 0) & (accepted <= 1))
    assert np.all(np.diff(seconds) > 0)
