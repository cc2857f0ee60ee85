"""What stands above a figure: what the run was, and what check() says of it."""

import textwrap
from typing import Any

from jaxanneal._diagnostics.agreement import agreement
from jaxanneal._diagnostics.check import doubts, failures

_LINE = 125  # characters


def faults(result: Any) -> list[str]:
    """Return what makes a run doubtful or worse, a line each."""
    texts = [f"Not to be trusted: {text}" for text in failures(result)]
    return texts + [f"Doubtful: {text}" for text in doubts(result)]


def agreement_of(result: Any) -> str:
    """Return how far the walks agree, in words that go on from a sentence."""
    seen = agreement(result)
    return "" if seen is None else f"; {seen}"


def verdict(result: Any) -> str:
    """Return in a few lines whether a cooled run is to be trusted."""
    chains = len(result.chains.energy)
    many = "chain" if chains == 1 else "chains"
    first = f"{chains:,} {many}, {result.steps:,} moves{agreement_of(result)}"
    return wrapped([first, *(faults(result) or ["check() finds no fault"])])


def wrapped(lines: list[str]) -> str:
    """Return lines that are not too long for the figure."""
    return "\n".join(textwrap.fill(line, _LINE) for line in lines)
