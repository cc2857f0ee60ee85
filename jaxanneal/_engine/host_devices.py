"""One device per CPU core."""

import os

import jax

from jaxanneal._checks import count, refusal
from jaxanneal._settings import known_settings


@known_settings
def use_host_devices(n: int | None = None) -> None:
    """Give JAX one device per CPU core, so that all cores work on blocks of chains of their own.

    Maths: between two exchanges chains do not depend on each other, and XLA runs a block of them on
    little more than one core.
    Batching: call it once, before anything else of JAX; it belongs into applications, not into
    libraries, because it changes what ``jax.devices()`` returns.

    Args:
        n: Number of devices; ``None``: the cores that this process may run on.

    Returns:
        Nothing. Runs of as many blocks spread over the devices by themselves.

    Raises:
        TypeError: ``n`` is no integer.
        ValueError: ``n`` is less than 1.
        RuntimeError: JAX has started with another number of devices.

    Example:
        >>> import jaxanneal as ja
        >>> ja.use_host_devices(len(jax.devices("cpu")))  # JAX has started, with just as many

    Reference: none.
    """
    number = _cores() if n is None else count("n", n, 1, "Leave it out for one per core.")
    try:
        jax.config.update("jax_num_cpu_devices", number)
    except RuntimeError as error:
        if len(jax.devices("cpu")) == number:
            return
        expected = "a call before JAX has started, with its first array or device"
        got = f"{len(jax.devices('cpu'))} CPU devices in use already"
        remedy = "Call it right after the imports, or start Python anew."
        raise RuntimeError(refusal("use_host_devices", expected, got, remedy)) from error


def _cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
