"""The tables and the figure of the suite `step`: every device by itself, and where no bare is."""

import json

import numpy as np
import pytest
from laws import caught

from benchmarks import report
from benchmarks.step import suite as step
from benchmarks.step import swap_pairs
from benchmarks.workloads import Workload, rastrigin, uniform_start

COSTS = {"bare (calls)": 1.0, "bare (scan)": 1.25, "SA": 1.07, "a swap phase alone": 0.004}


def row(device, solver, ratio, **more):
    fields = {
        "suite": "step",
        "problem": "MLP 64, 32, 100",
        "solver": solver,
        "ratio": ratio,
        "nanoseconds_per_chain": 2410 * ratio,
        "coordinates": 2410,
        "versions": {"jax": "0.10.2"},
        "processor": "a processor",
        "device": device,
    }
    return fields | more


ROWS = [
    row("cpu", "bare (calls)", 9.0),  # which a later one replaces
    *(row("a GPU", solver, 2 * ratio, roofline=0.5) for solver, ratio in COSTS.items()),
    *(row("cpu", solver, ratio) for solver, ratio in COSTS.items()),
]
FIRST = row("cpu", "SA, first result", 0.0, compile_seconds=2.2, seconds=3.0)
del FIRST["ratio"]


def test_the_report_has_the_latest_costs_of_every_device_by_itself(tmp_path):
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    (folder / "step.jsonl").write_text("".join(json.dumps(x) + "\n" for x in [*ROWS, FIRST]))
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- step -->\nold\n<!-- /step -->\nafter\n")
    written = report.write(folder, {"step": step})
    short, long = readme.read_text(), (folder.parent / "README.md").read_text()
    assert written == str(folder.parent / "README.md")
    for text in (short, long):
        on_cpu, on_gpu = text.split("one a GPU")
        assert "| MLP 64, 32, 100 | 1.00 | 1.25 | 1.07 |" in on_cpu
        assert "| MLP 64, 32, 100 | 2.00 | 2.50 | 2.14 |" in on_gpu
        assert "9.00" not in text
    assert short.startswith("before\n<!-- step -->\n")
    assert short.endswith("<!-- /step -->\nafter\n")
    assert "| a swap phase alone |\n|---|---|\n| MLP 64, 32, 100 | 0.40 |" in long
    assert "| MLP 64, 32, 100 | 0.50 | 0.50 | 0.50 |" in long  # of the roofline
    assert "| MLP 64, 32, 100 | 3.00 |" in long
    assert "| MLP 64, 32, 100 | 2.20 |" in long
    assert (folder / "step.png").stat().st_size > 10_000


def added_law(added):
    """A swap of 5 % of a move is found, though the machine's speed changes from pair to pair."""
    rng = np.random.default_rng(0)
    speed = rng.uniform(1, 2, size=(400, 1))
    times = speed * np.array([1.05, 1.005]) * rng.normal(1, 0.01, size=(400, 2))
    assert abs(added(times) - 0.05) < 0.004


def test_what_a_swap_adds_is_found_in_pairs():
    added_law(swap_pairs.added)
    medians_of_each = lambda x: np.divide(*np.median(x, axis=0)) - 1  # noqa: E731
    caught(added_law, medians_of_each)


def interval_law(interval):
    inside, rng = 0, np.random.default_rng(1)
    for _ in range(50):
        times = np.array([1.05, 1.005]) * rng.normal(1, 0.02, size=(60, 2))
        low, high = interval(times)
        inside += low <= 0.05 <= high
    assert inside >= 0.8 * 50


def test_the_interval_of_what_a_swap_adds_covers_it():
    interval_law(swap_pairs.interval)
    caught(interval_law, lambda times: [swap_pairs.added(times)] * 2)


@pytest.mark.slow
def test_pairs_of_a_workload_make_a_row_a_line_and_a_table():
    loads = [
        Workload(f"{chains} chains", chains, rastrigin, uniform_start, ()) for chains in (16, 1)
    ]
    (pairs,) = swap_pairs.study(iter(loads), 0.1)
    assert pairs["block"] == 16
    assert pairs["repeats"] >= 2
    low, high = pairs["interval"]
    assert low <= pairs["added"] <= high
    assert "what a swap after every move adds" in step.line(pairs)
    lines = step.table([*ROWS, pairs])
    assert sum(line.startswith("| 16 chains | ") for line in lines) == 1
