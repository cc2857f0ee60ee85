"""A run that was interrupted is not measured; nothing here starts JAX."""

from typing import Any

import jaxanneal as ja


def whole(result: ja.Result[Any]) -> ja.Result[Any]:
    """Return a run that nobody interrupted: a part of it would make a wrong row.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it, which is meant for the benchmark.
    """
    if result.stop_reason is ja.StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    return result
