"""Processes of their own: JAX has its devices and what it compiled for life."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

# Host devices are what is asked for; elsewhere a GPU would be found.
CPU = {"JAX_PLATFORMS": "cpu"}


def printed(module: str, *arguments: Any, **environment: str) -> Iterator[dict[str, Any]]:
    """Run a module of the benchmarks in a new process, and yield each line of JSON as it comes.

    Raises:
        RuntimeError: It failed.
    """
    root = pathlib.Path(__file__).parent.parent
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    place = os.environ | environment
    with subprocess.Popen(
        command, cwd=root, env=place, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"benchmarks.{module}: exit status {process.returncode}.")
