"""A run in a table: as text, and as HTML for notebooks."""

import html
from typing import Any

import jax
import numpy as np

from jaxanneal._chain.move import target_of
from jaxanneal._diagnostics.agreement import agreement
from jaxanneal._diagnostics.check_ladder import finer, spacing_doubts
from jaxanneal._engine.blocks import padded_count
from jaxanneal._engine.history import Summary


def as_text(result: Any) -> str:
    """Return the table as aligned text."""
    lines = rows(result)
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def as_html(result: Any) -> str:
    """Return the table as HTML, without colours, so that it suits light and dark themes."""
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:600;white-space:nowrap">'
        f'{html.escape(name)}</th><td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in rows(result)
    )
    title = "caption-side:top;text-align:left;padding:0.3em 0.5em;font-weight:bold"
    return (
        f'<table><caption style="{title}">jaxanneal.Result</caption><tbody>{cells}</tbody></table>'
    )


def rows(result: Any) -> list[tuple[str, str]]:
    """Return the names and values of the table."""
    lines = [
        ("best energy", f"{result.energy:.8g}"),
        ("stopped", result.stop_reason.value),
        ("chains", _chains(result)),
        ("parameters per chain", _parameters(result.params, result.fixed)),
        ("steps per chain", f"{result.steps:,}"),
        ("energy evaluations", f"{result.evaluations:,}"),
    ]
    if result.searches:
        lines += [(f"search {i}", _search(x)) for i, x in enumerate(result.searches, 1)]
    elif result.state is not None:
        lines.append(("best state seen", _first_seen(result)))
    if result.gradients:
        lines.append(("gradient evaluations", f"{result.gradients:,}"))
    seconds = f"{result.seconds:.3g} (and {result.compile_seconds:.3g} compiling)"
    return [*lines, ("seconds", seconds), *_health(result)]


def _first_seen(result: Any) -> str:
    """Say at which evaluation the best state was first seen, of a run, to within 64 moves.

    The moves know when the best energy last fell; before them were the start and the calibration.
    """
    state = result.state.engine_state
    chains = padded_count(state.method.chains, result.state.width)  # evaluated in one move
    fell = int(state.watch.step)
    before, last = result.evaluations - int(state.step) * chains, float(state.watch.energy)
    if result.energy < last:  # since the last look
        return f"by evaluation {result.evaluations:,}, in the last moves"
    if fell > 0:
        return f"by evaluation {before + fell * chains:,}"
    begun = result.state.begun
    if (begun is not None and np.any(begun.energy <= result.energy)) or before <= chains:
        return "at the start"
    return f"by evaluation {before:,}, while calibrating"


def _search(search: Any) -> str:
    """Say what one search of ``minimize`` did."""
    return (
        f"{search.energy:.8g} by {search.method}, {search.chains:,} chains, {search.steps:,} steps"
    )


def _chains(result: Any) -> str:
    count, health = result.chains.energy.shape[0], result.diagnostics
    if health.temperatures is None:
        return f"{count:,}"
    rungs = len(health.temperatures)
    many = "ladder" if count == rungs else "ladders"
    return f"{count:,}: {count // rungs:,} {many} of {rungs:,} rungs"


def _health(result: Any) -> list[tuple[str, str]]:
    health, lines = result.diagnostics, []
    state = (
        None if result.state is None else result.state.engine_state
    )  # polished: descent has none
    warm = 0 if state is None else int(state.method.warmup_end())
    if state is not None and warm > 0:
        over = warm < int(state.step)
        lines.append(("warm-up", f"{warm:,} moves" + ("" if over else ", not over yet")))
    seen = agreement(result)
    if seen is not None:
        lines.append(("agreement", str(seen)))
    adapts = state is not None and target_of(state.given_move, result.params) is not None
    temperature = _extremes(result.history.temperature)
    for name, values in (
        ("temperature", temperature),
        ("acceptance rate", health.acceptance_rate),
        ("step-size factor", health.factor if adapts else None),
        ("swap rate", health.swap_rate),
    ):
        if values is not None and np.any(np.isfinite(values)):
            lines.append((name, _range(values)))
    if state is not None and health.barrier is not None and np.isfinite(health.barrier):
        advice = f"; better {finer(health)}" if spacing_doubts(state, health) else ""
        lines.append(("barrier", f"{health.barrier:.3g}{advice}"))
        trips, rate = int(np.sum(health.round_trips)), float(np.sum(health.round_trip_rate))
        shown = f"{trips:,} ({rate / len(health.round_trips):.3g} per swap phase and ladder)"
        lines.append(("round trips", shown))
    lost = int(np.sum(health.nonfinite))
    if lost:
        chains = int(np.count_nonzero(health.nonfinite))
        # Descent makes no proposals: a chain that meets such an energy stops there.
        refused = f"{lost:,} proposals refused, in {chains:,} chains"
        shown = f"{lost:,} chains stopped" if result.state is None else refused
        lines.append(("non-finite energies", shown))
    return lines


def _parameters(params: Any, fixed: int) -> str:
    sizes = [leaf.size for leaf in jax.tree.leaves(params) if hasattr(leaf, "size")]
    leaves = "leaf" if len(sizes) == 1 else "leaves"
    text = f"{sum(sizes):,} in {len(sizes)} {leaves}"
    return f"{text}; {fixed} other leaves held fixed" if fixed else text


def _extremes(field: Any) -> np.ndarray:
    if isinstance(field, Summary):
        field = [*field.min[:1], *field.min[-1:], *field.max[:1], *field.max[-1:]]
    return np.asarray(field)


def _range(values: Any) -> str:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = known.min(), known.max()
    return (
        f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}, median {np.median(known):.3g}"
    )
