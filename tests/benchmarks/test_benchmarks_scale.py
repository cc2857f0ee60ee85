"""The suite `scale`: what its rows say is what was measured, and its comparers can fail."""

import json
import threading
import time
import types

import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from benchmarks.scale import chain_counts, device_counts, overheads, sweep_speed
from benchmarks.scale import suite as scale
from benchmarks.scale.device_counts import FREE
from benchmarks.scale.runs import whole
from benchmarks.workloads import Workload

# One structure for all that runs here: programs are compiled once.
SMALL = Workload("small", 8, sweep_speed.himmelblau, lambda key: np.zeros(2, np.float32), ())


def digest_law(digest):
    """One bit of one chain, or another ladder, is another digest; the same numbers are not."""

    def result(last=1.0, ladder=0.5):
        chains = types.SimpleNamespace(params={"w": np.ones((4, 3))}, energy=np.array([2.0, last]))
        rates = types.SimpleNamespace(swap_rate=np.array([ladder]), temperatures=np.ones(2))
        best = {"params": {"w": np.ones(3)}, "energy": 1.0, "history": np.arange(3)}
        return types.SimpleNamespace(**best, chains=chains, diagnostics=rates)

    assert digest(result()) == digest(result())
    assert digest(result(last=np.nextafter(1.0, 2.0))) != digest(result())
    assert digest(result(ladder=np.nextafter(0.5, 1.0))) != digest(result())


def test_a_digest_tells_one_bit():
    digest_law(device_counts.digest)
    caught(digest_law, lambda result: str(result.energy))


def device_row(devices, digest):
    return {
        "study": "devices",
        "problem": "p",
        "solver": f"{devices} devices",
        "devices": devices,
        "digest": digest,
        "evaluations_per_second": 1234.5,
    }


def disagreement_law(table):
    """A number of devices with other bits is shown as such, and repeats that differ are, too."""
    agreeing = [row[-7:] for row in table([device_row(n, "ab") for n in (1, 2)])]
    assert agreeing[2:] == ["| yes |", "| yes |"]
    rows = [device_row(1, "ab"), device_row(2, "cd"), device_row(4, "ab cd"), device_row(8, "ab")]
    assert [row.split("|")[-2].strip() for row in table(rows)[2:]] == ["yes", "NO", "NO", "yes"]
    assert "NO" in table([device_row(1, "ab cd")])[2]


def test_devices_that_disagree_are_shown_as_such():
    disagreement_law(scale._devices_table)
    caught(
        disagreement_law, lambda rows: [x.replace("NO", "yes") for x in scale._devices_table(rows)]
    )


def coverage_law(interval):
    """Runs that differ by 2 % on a machine with 5 % drift and 1 % noise, in 200 such studies.

    Seven pairs drawn again cover the truth less often than 95 %; 85 % of 200 has a standard error
    of 2.5 %, so that 75 % is four of them away.
    """
    random = np.random.default_rng(5)
    inside = 0
    for _ in range(200):
        drift = random.normal(1.0, 0.05, 7)
        plain, other = (x * drift * random.normal(1.0, 0.01, 7) for x in (10.0, 10.2))
        low, high = interval(other.tolist(), plain.tolist())
        inside += low <= 1.02 <= high
    assert inside >= 0.75 * 200


def test_the_interval_of_a_ratio_covers_it():
    coverage_law(overheads.interval)
    caught(coverage_law, lambda x, y: [np.median(x) / np.median(y)] * 2)


class Slow:
    def wait(self, answer):
        return answer


def test_calls_are_timed_and_the_function_is_put_back():
    original = Slow.wait
    with overheads.watched(Slow, "wait") as seconds:
        assert [Slow().wait(x) for x in (1, 2)] == [1, 2]
    assert len(seconds) == 2
    assert all(x >= 0 for x in seconds)
    assert Slow.wait is original


def busy_law(used):
    """A thread that works is seen to, and one that sleeps is not."""
    over = threading.Event()

    def work():
        while not over.is_set():
            sum(range(1000))

    before = set(overheads.cpu_seconds())
    threads = [threading.Thread(target=run) for run in (work, over.wait)]
    ids = []
    for thread in threads:
        thread.start()
        ids.append({thread.native_id})
    assert set().union(*ids) <= set(overheads.cpu_seconds()) - before
    since = overheads.cpu_seconds()
    try:
        time.sleep(0.5)
        worked, slept = (used(thread_ids, since) for thread_ids in ids)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert worked > 0.04
    assert slept == 0


def test_threads_left_behind_are_seen_to_work():
    busy_law(overheads.used)
    caught(busy_law, lambda threads, since: 0.0)


def test_an_interrupted_run_makes_no_row():
    for reason in ja.StopReason:
        result = types.SimpleNamespace(stop_reason=reason)
        if reason is ja.StopReason.INTERRUPTED:
            with pytest.raises(KeyboardInterrupt):
                whole(result)
        else:
            assert whole(result) is result


def bytes_law(rows):
    """A chain holds its parameters and its best ones, two floats each, and both energies."""
    for row in rows:
        assert row["bytes_of_parameters"] == 8
        assert row["bytes_per_chain"] >= 2 * 8 + 2 * 4


def test_chains_and_overheads_give_rows_lines_and_tables():
    rows = list(chain_counts.study(SMALL, (8,), 2, 0.05, 20))
    assert [row["solver"] for row in rows] == ["8 chains"]
    bytes_law(rows)
    caught(bytes_law, [row | {"bytes_per_chain": 16} for row in rows])
    assert rows[0]["steps"] >= 20
    assert rows[0]["evaluations_per_second"] > 0
    rows += overheads.study(SMALL, 0.1, 2)
    plain, kept, shown = rows[1:]
    assert plain["ratio"] == 1
    assert plain["spent_seconds"] == 0
    # A run this short is saved once, at its end; the bar is told of every chunk.
    assert kept["calls"] == 1
    assert 0 < kept["seconds_per_call"] < kept["spent_seconds"] < kept["seconds"]
    assert shown["calls"] > 1
    assert plain["behind_seconds"] is None
    assert all(0 <= row["behind_seconds"] < 0.1 for row in (kept, shown))
    assert [json.loads(json.dumps(row)) for row in rows] == rows  # as they are kept
    assert all(scale.line(row) for row in rows)
    lines = scale.table(rows)
    assert sum(line.startswith("| small | 8 |") for line in lines) == 1
    assert sum(line.startswith("| small, runs of 0.1 s |") for line in lines) == 3


def same_law(rows):
    for row in rows:
        same, of = row["same"]
        assert same == of == 4


@pytest.mark.slow
def test_runs_of_the_loop_are_those_of_the_sweep(monkeypatch):
    rows = list(sweep_speed.study((2, 2), 2, 2))
    assert [row["configurations"] for row in rows] == [4, 2]
    same_law(rows)
    assert rows[1]["times_the_loop"] == 1
    assert [json.loads(json.dumps(row)) for row in rows] == rows  # as they are kept
    assert all(scale.line(row) for row in rows)
    assert sum(line.startswith("| 4 configurations") for line in scale.table(rows)) == 2
    single = sweep_speed._single
    monkeypatch.setattr(sweep_speed, "_single", lambda pairs, c: single(pairs, (c + 1) % 4))
    caught(same_law, list(sweep_speed.study((2, 2), 2, 2)))


@pytest.mark.slow
def test_a_process_with_four_devices_prints_the_digest_that_two_have_here():
    (row,) = device_counts.study((4,), FREE, 256, 20, 1)
    here = device_counts.run(device_counts.workload(FREE, 256), 20)
    assert (row["used"], len(here.chains.energy.sharding.device_set)) == (4, 2)
    assert row["digest"] == device_counts.digest(here)
    assert row["evaluations_per_second"] > 0
    assert row["digest"] in scale.line(row)
    assert scale.table([row])[-1].endswith("| yes |")
