"""The tables and the figure of the suite `step`: every device by itself, and where no bare is."""

import json

from benchmarks import _report, step

COSTS = {"bare (calls)": 1.0, "bare (scan)": 1.25, "SA": 1.07, "a swap phase alone": 0.004}


def row(device, solver, ratio, **more):
    made = {
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
    return made | more


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
    written = _report.write(folder, {"step": step})
    short, report = readme.read_text(), (folder.parent / "README.md").read_text()
    assert written == str(folder.parent / "README.md")
    for text in (short, report):
        on_cpu, on_gpu = text.split("one a GPU")
        assert "| MLP 64, 32, 100 | 1.00 | 1.25 | 1.07 |" in on_cpu
        assert "| MLP 64, 32, 100 | 2.00 | 2.50 | 2.14 |" in on_gpu
        assert "9.00" not in text
    assert short.startswith("before\n<!-- step -->\n")
    assert short.endswith("<!-- /step -->\nafter\n")
    assert "| a swap phase alone |\n|---|---|\n| MLP 64, 32, 100 | 0.40 |" in report
    assert "| MLP 64, 32, 100 | 0.50 | 0.50 | 0.50 |" in report  # of the roofline
    assert "| MLP 64, 32, 100 | 3.00 |" in report
    assert "| MLP 64, 32, 100 | 2.20 |" in report
    assert (folder / "step.png").stat().st_size > 10_000
