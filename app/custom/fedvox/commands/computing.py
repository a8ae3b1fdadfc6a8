"""Where and with how much a command computes: options that several commands share."""

import argparse
import os

from fedvox.commands.parser import lower

MOST_THREADS = 256
"""More help no scan."""


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Adds ``--threads`` and ``--device``."""
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--device",
        type=lower,
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default: a GPU if usable",
    )


def threads_of(args: argparse.Namespace) -> int:
    """The CPU threads that were asked for, or one for each core.

    Raises:
        ConfigError: more or fewer than can help.
    """
    from fedvox.errors import ConfigError

    if args.threads is not None and not 1 <= args.threads <= MOST_THREADS:
        raise ConfigError(f"--threads is {args.threads}; it must be from 1 to {MOST_THREADS}")
    return args.threads or os.cpu_count() or 1
