"""How many runs fit into the memory."""

import pathlib
from typing import Any

from jaxanneal._engine.blocks import padded_count
from jaxanneal._engine.sharding import default_device
from jaxanneal._run.problem import Problem
from jaxanneal._sweep.programs import TooLarge

# Of what is free a batch takes no more than this: others work on the machine, too.
_SHARE = 0.5

# States of a batch: going in, coming out, and copies on the way.
_COPIES = 6

# Of few sizes few programs are compiled.
_FEWEST, _LARGEST = 8, 1024

_UNKNOWN = 2**32  # bytes, where nothing tells what is free


def free_bytes() -> int:
    """Return the free memory of the device where runs are made."""
    stats = default_device().memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    found = [_meminfo(), _control_group()]
    return min([x for x in found if x is not None], default=_UNKNOWN)


def _meminfo() -> int | None:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _control_group() -> int | None:
    """Return what the container may still use, if it is limited."""
    folder = pathlib.Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        return limit - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def first_size(problem: Problem, runs: int) -> int:
    """Return how many slots a program is to have: a power of two."""
    chains = problem.method.chains
    each = sum(leaf.nbytes for leaf in problem.starts.leaves) // chains
    state = padded_count(chains, problem.width) * (2 * each + 64)
    fitting = max(1, int(free_bytes() * _SHARE) // (_COPIES * state))
    wanted = 1 << max(runs - 1, 0).bit_length()
    if default_device().platform == "cpu":  # where a slot that is not filled costs little
        wanted = max(wanted, _FEWEST)
    return min(wanted, _LARGEST, 1 << (fitting.bit_length() - 1))


def require_memory(analysis: Any, size: int) -> None:
    """Refuse a program that would take too much of the free memory; one run alone is tried.

    Raises:
        TooLarge: Make it for fewer runs.
    """
    if size > 1 and analysis is not None and _needed(analysis) > _SHARE * free_bytes():
        raise TooLarge


def _needed(analysis: Any) -> int:
    held = analysis.output_size_in_bytes + analysis.temp_size_in_bytes
    return held - analysis.alias_size_in_bytes
