"""Why a run stopped."""

import enum


class StopReason(enum.Enum):
    """Say why a run stopped.

    Maths: none.
    Batching: one reason for all chains.

    Args:
        value: One of the texts below.

    Returns:
        A member: ``STEPS``, ``TARGET``, ``MIN_TEMPERATURE``, ``PATIENCE``, ``TIME``,
        ``EVALUATIONS``, ``CALLBACK`` or ``INTERRUPTED``.

    Raises:
        ValueError: ``value`` is none of the texts.

    Example:
        >>> import jaxanneal as ja
        >>> ja.anneal(lambda x: x**2, 1.0, key=0, steps=64, target=0.5).stop_reason.name
        'TARGET'

    Reference: none; SciPy's ``OptimizeResult.message`` plays the same part.
    """

    STEPS = "all steps were made"
    TARGET = "the best energy reached the target"
    MIN_TEMPERATURE = "the temperature reached min_temperature"
    PATIENCE = "the best energy has not improved for `patience` steps"
    TIME = "max_seconds were over"
    EVALUATIONS = "max_evaluations were used up"
    CALLBACK = "the callback returned True"
    INTERRUPTED = "the run was interrupted (Ctrl-C, SIGTERM, or an error)"
