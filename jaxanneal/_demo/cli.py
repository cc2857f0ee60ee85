"""The command line: ``jaxanneal demo`` and ``jaxanneal info``."""

import time

_BEGAN = time.monotonic()  # before the imports, which count as the demo's time

import argparse  # noqa: E402
import sys  # noqa: E402
from importlib import metadata  # noqa: E402

_METHODS = ("all", "sa", "pt", "adam")
_PACKAGES = ("jaxanneal", "jax", "jaxlib", "optax", "chex", "numpy", "tqdm")


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments, by default those of the process.

    Returns:
        The exit status.
    """
    began = _BEGAN if argv is None else time.monotonic()
    chosen = _parser().parse_args(argv)
    if chosen.command == "info":
        return _info()
    from jaxanneal import use_host_devices
    from jaxanneal._demo.demo import run

    if argv is None:  # a process of its own, in which nothing has started JAX
        use_host_devices()
    try:
        run(began, chosen.seconds, chosen.method, chosen.seed, chosen.out, chosen.quiet)
    except ImportError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxanneal", description="Simulated annealing and parallel tempering in JAX."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="train a network on real digits without gradients",
        description="Train a 64-32-10 network on the scikit-learn digits by simulated annealing, "
        "parallel tempering, parallel tempering + polish, and Adam at the same wall clock; then on "
        "the 0-1 error itself. Prints two tables; saves a figure and the parameters.",
    )
    demo.add_argument(
        "--seconds",
        type=_seconds,
        default=60.0,
        help="wall clock of the whole command, compilation included: SA gets 15 %% of what is left "
        "for running, PT 22, polish 4, Adam as much as PT + polish, the 0-1 error 33 (default 60)",
    )
    demo.add_argument("--method", choices=_METHODS, default="all", help="what to run (default all)")
    demo.add_argument("--seed", type=int, default=0, help="seed of every stage (default 0)")
    demo.add_argument(
        "--out",
        default="jaxanneal-demo",
        help="folder for the PNG and the .npz (default %(default)s)",
    )
    demo.add_argument("--quiet", action="store_true", help="print the tables alone")
    commands.add_parser("info", help="print versions and devices")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 20 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected at least 20 seconds, got {text}")
    return seconds


def _info() -> int:
    import jax

    for package in _PACKAGES:
        try:
            print(f"{package:<10} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            print(f"{package:<10} not installed")
    print(f"{'python':<10} {sys.version.split()[0]}")
    for device in jax.devices():
        print(f"{'device':<10} {device.platform}: {device.device_kind}")
    return 0
