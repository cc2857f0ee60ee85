"""``python -m benchmarks list | run SUITE [--quick] [--peers] | report``."""

import argparse
import importlib
import sys

from benchmarks import report
from benchmarks.rows import RESULTS, append

_NAMES = ("exchanges", "networks", "sampling", "scale", "step")
SUITES = {name: importlib.import_module(f"benchmarks.{name}.suite") for name in _NAMES}
_PEERED = ("sampling", "step")


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the suites")
    run = commands.add_parser("run", help="run a suite and append its rows to benchmarks/results")
    run.add_argument("suite", choices=sorted(SUITES))
    run.add_argument("--quick", action="store_true", help="within two minutes, rows not kept")
    run.add_argument("--peers", action="store_true", help="with other libraries: extra [bench]")
    commands.add_parser("report", help="write benchmarks/README.md and the README's table")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        for name, suite in SUITES.items():
            print(f"{name}: {(suite.__doc__ or '').splitlines()[0]}")
    elif arguments.command == "report":
        print(report.write(RESULTS, SUITES))
    else:
        name, quick = arguments.suite, arguments.quick
        if arguments.peers and name not in _PEERED:
            parser.error(f"--peers: expected with {', '.join(_PEERED)}, got with {name}.")
        options = {"peers": True} if arguments.peers else {}
        for row in SUITES[name].run(quick=quick, **options):
            print(SUITES[name].line(row), flush=True)
            if not quick:
                append(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
