"""The `fedvox` command: finds the sub-command and turns errors into one line."""

import os
import re
import signal
import sys
import threading
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

import fedvox
from fedvox.commands import check, doctor, evaluate, export, job, kit, phantom, predict, report
from fedvox.commands.parser import OneLineParser
from fedvox.commands.text import visible
from fedvox.errors import FedVoxError
from fedvox.privacy.redaction import exception_line

_EPILOG = """\
examples:
  fedvox phantom --out data --sites ct,mr --cases 8
  fedvox check data/site-1.json --html check.html
  fedvox job show fedgin
  fedvox predict --model runs/fedgin/model.safetensors --input scan.nii.gz --modality mr \\
      --output seg.nii.gz
  fedvox evaluate --model runs/fedgin/model.safetensors data/site-1.json
  fedvox export --model runs/fedgin/model.safetensors --out bundle
  fedvox report runs/fedgin
  fedvox doctor --kit /opt/fedvox/site-1 --job submit/fedgin
  fedvox kit renew site-1 --state runs/provision/fedvox/state

'fedvox COMMAND --help' shows each command's options and examples.
"""


def build_parser() -> OneLineParser:
    """The whole command line."""
    parser = OneLineParser(
        prog="fedvox",
        description="One 3D segmentation model across hospitals, without moving a scan.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fedvox {fedvox.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (phantom, check, doctor, job, predict, evaluate, export, report, kit):
        command.add_parser(subparsers)
    return parser


def _meant(command: str, unknown: Sequence[str]) -> str:
    """What was probably meant by words that no option takes."""
    if command == "predict":
        return " (--input takes one scan or a folder of scans; put a name with blanks in quotes)"
    if command == "check":
        return " (one site file at a time)"
    if command == "phantom":
        return " (write several sites with commas and no blanks: --sites ct,mr)"
    if command == "job" and any("=" in word for word in unknown):
        return " (write each setting as --set KEY=VALUE, without blanks)"
    if command != "doctor" or unknown[0].startswith("-"):
        return ""
    if all(re.fullmatch("[0-9A-Fa-f]{2}", word) for word in unknown):
        return " (put a fingerprint with blanks in quotes)"
    return f" (did you mean --kit {unknown[0]}?)"


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Lets SIGTERM, which a scheduler or a shutdown sends, remove unfinished files as Ctrl-C does.

    A handler that somebody set before stays.
    """
    mine = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    mine = mine and threading.current_thread() is threading.main_thread()
    if mine:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fault(error: Exception) -> str:
    """What to say of an error that nobody foresaw, or of a package that is not there."""
    missing = str(getattr(error, "name", "")).partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and missing != "fedvox":
        return (
            f"{missing} is not installed here; pip install -r requirements.txt in the checkout, or "
            "the wheel as fedvox[train]"
        )
    return f"breaks with {exception_line(error)}; report this line to us"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; exit code 0 only on success.

    Args:
        argv: arguments, default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a sign shows its number
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not words:
        parser.print_help()
        parser.exit(2)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        command = next((word for word in words if not word.startswith("-")), "")
        problem = f"unknown: {' '.join(unknown)}{_meant(command, unknown)}"
        called = ["fedvox", *words[: 2 if command in ("job", "kit") else 1]]
        remedy = f"see '{' '.join(called)} --help'"
        parser.exit(2, visible(f"fedvox: error: {problem}; {remedy}") + "\n")
    try:
        with _tidy_end():
            return int(args.run(args))
    except FedVoxError as error:
        print(visible(f"fedvox: error: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output went away; keep Python from complaining while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        reason = error.strerror or str(error)
        place = f"{error.filename}: " if error.filename else ""
        print(visible(f"fedvox: error: {place}{reason}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fedvox: stopped", file=sys.stderr)
        return 130
    except Exception as error:  # a fault of ours; a library's text may hold a patient's file name
        print(f"fedvox: error: {_fault(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
