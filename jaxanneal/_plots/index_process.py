"""The index process: which replica is at each rung, and how replicas travel between the ends."""

from typing import Any

import numpy as np

from jaxanneal._plots.axes import cold_to_hot, finish, remark

# A picture shows about so many journeys of a replica from end to end, and so many records at least.
_JOURNEYS, _RECORDS = 8, 60

# Mean distance from record to record, as a fraction of the ladder, beyond which a line would only
# join places that have nothing to do with each other: shuffled replicas move by a third.
_FAR = 1 / 6


def draw_index_process(axes: Any, history: Any, title: str) -> None:
    """Draw the rung of each replica of the first ladder: well mixed where no colour stays.

    Args:
        axes: Where to draw.
        history: Of a ladder; only the end of a run where replicas travel often.
        title: What the replicas achieved.
    """
    replica = history.replica
    ylabel = "rung (0 is the coldest)"
    if replica is None or len(replica) == 0:
        remark(axes, "no replicas were recorded")
        return finish(axes, title, ylabel)
    if replica.ndim == 3:
        ylabel += "" if replica.shape[1] == 1 else f", ladder 1 of {replica.shape[1]:,}"
        replica = replica[:, 0]
    place = np.argsort(replica, axis=1)  # the rung of each replica
    count, shown = journeys(place) / place.shape[1], len(place)
    followed = traceable(place)
    if followed and count > _JOURNEYS:
        shown = min(shown, max(_RECORDS, int(shown * _JOURNEYS / count)))
    step, place, replica = history.step[-shown:], place[-shown:], replica[-shown:]
    rungs, borders = replica.shape[1], edges(step)
    axes.pcolormesh(
        borders,
        np.arange(rungs + 1) - 0.5,
        replica.T,
        cmap=cold_to_hot(),
        vmin=0,
        vmax=rungs - 1,
        alpha=0.5 if followed else 1.0,
        rasterized=True,
    )
    if followed:
        line = {"color": "white", "lw": 2.6, "drawstyle": "steps-mid"}
        axes.plot(step, place[:, 0], **line)
        named = "replica that began coldest"
        axes.plot(step, place[:, 0], **line | {"color": "black", "lw": 1.3, "label": named})
    warm = int(np.count_nonzero(history.warmup[-shown:]))
    if 0 < warm < shown:  # a shade would be hidden
        axes.axvline(borders[warm], color="black", ls="--", lw=1.5, label="end of the warm-up")
    axes.set(xlim=borders[[0, -1]], ylim=(-0.5, rungs - 0.5))
    axes.locator_params(axis="y", integer=True)  # there is no rung 2.5
    return finish(axes, title, ylabel, _xlabel(shown, len(history.step)))


def _xlabel(shown: int, records: int) -> str:
    return "moves per chain" + ("" if shown == records else " (the end of the run)")


def journeys(place: np.ndarray) -> int:
    """Count the journeys from one end of the ladder to the other that records saw.

    Args:
        place: Rung of each replica, int ``[records, replicas]``.
    """
    count, last = 0, place.shape[1] - 1
    for rung in place.T:
        ends = rung[(rung == 0) | (rung == last)]
        count += int(np.count_nonzero(np.diff(ends)))
    return count


def traceable(place: np.ndarray) -> bool:
    """Return whether records are close enough in time to follow a replica from one to the next.

    Args:
        place: Rung of each replica, int ``[records, replicas]``.
    """
    moved = np.abs(np.diff(place, axis=0))
    return moved.size > 0 and float(moved.mean()) <= max(1.0, _FAR * place.shape[1])


def edges(step: np.ndarray) -> np.ndarray:
    """Return the borders between records, and one outside of either end."""
    step = np.asarray(step, dtype=np.float64)
    if len(step) == 1:
        return np.array([step[0] - 0.5, step[0] + 0.5])
    middle = (step[1:] + step[:-1]) / 2
    first, last = step[0] - (middle[0] - step[0]), step[-1] + (step[-1] - middle[-1])
    return np.concatenate([[first], middle, [last]])
