"""Rows of results: JSON lines that say what was measured, with what, and on what."""

import json
import pathlib
import platform
import subprocess
import time
from importlib import metadata
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).parent / "results"


def new_row(suite: str, problem: str, solver: str, **measured: Any) -> dict[str, Any]:
    """Return one row: what the suite ``measured``, with the versions, the machine and the date."""
    packages = ("jaxanneal", "jax", "jaxlib", "optax", "numpy")
    return {
        "suite": suite,
        "problem": problem,
        "solver": solver,
        **measured,
        "versions": {name: _version(name) for name in packages},
        "processor": processor(),
        "device": jax.devices()[0].device_kind,
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def append(row: dict[str, Any]) -> None:
    """Append a row to the suite's results."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{row['suite']}.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def read(folder: pathlib.Path, suite: str) -> list[dict[str, Any]]:
    """Return the rows of a suite, the oldest first."""
    path = folder / f"{suite}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def processor() -> str:
    """Return the processor's name and the number of its cores that this process may use."""
    name = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
        return f"{name}, {len(models)} cores"
    return name


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "source"


def _commit() -> str:
    try:
        command = ["git", "describe", "--always", "--dirty"]
        options: dict[str, Any] = {"cwd": RESULTS.parent, "capture_output": True, "text": True}
        return subprocess.run(command, **options, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
