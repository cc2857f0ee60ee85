"""Modules run in new processes: JAX keeps its devices and what it compiled as long as it runs."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

# For studies of host devices: JAX would take a GPU where there is one.
CPU = {"JAX_PLATFORMS": "cpu"}


def printed(module: str, *arguments: Any, **environment: str) -> Iterator[dict[str, Any]]:
    """Run a module of the benchmarks in a new process, and yield each line of JSON as it comes.

    Raises:
        RuntimeError: It failed.
    """
    root = pathlib.Path(__file__).parent.parent
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    options: dict[str, Any] = {"cwd": root, "env": os.environ | environment, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"benchmarks.{module}: exit status {process.returncode}.")
