"""``python -m benchmarks list | run SUITE [--quick] [--peers] | report``."""

import argparse
import sys

from benchmarks import report as _report
from benchmarks import rows as _rows
from benchmarks.exchanges import suite as exchanges
from benchmarks.networks import suite as networks
from benchmarks.sampling import suite as sampling
from benchmarks.scale import suite as scale
from benchmarks.step import suite as step

SUITES = {
    "exchanges": exchanges,
    "networks": networks,
    "sampling": sampling,
    "scale": scale,
    "step": step,
}
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
    chosen = parser.parse_args(argv)
    if chosen.command == "list":
        for name, suite in SUITES.items():
            print(f"{name}: {(suite.__doc__ or '').splitlines()[0]}")
    elif chosen.command == "report":
        print(_report.write(_rows.RESULTS, SUITES))
    else:
        if chosen.peers and chosen.suite not in _PEERED:
            parser.error(f"--peers: expected with {', '.join(_PEERED)}, got with {chosen.suite}.")
        options = {"peers": True} if chosen.peers else {}
        for row in SUITES[chosen.suite].run(quick=chosen.quick, **options):
            print(SUITES[chosen.suite].line(row), flush=True)
            if not chosen.quick:
                _rows.append(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
