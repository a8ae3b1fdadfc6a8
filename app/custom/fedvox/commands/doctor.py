"""``fedvox doctor``: checks host, start-up kit, data and job before a site takes part."""

import argparse
import json
import sys

from fedvox.commands.parser import file_path

_EPILOG = """\
examples:
  fedvox doctor
      this machine only
  fedvox doctor --kit /opt/fedvox/site-1
      kit, certificates, policies and the way to the server as well
  fedvox doctor --kit lead@hospital-a.org --root-ca 3f:9a:…
      a person's kit, before the first login
  fedvox doctor --kit /opt/fedvox/site-1 --job submit/fedgin --root-ca 3f:9a:…
      everything, with the root CA's fingerprint that the operator told you by telephone
  fedvox doctor --job jobs/fedgin --site-file sites/site-1.json --json

exit code: 0 without FAIL, 1 otherwise
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the sub-command to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="check host, start-up kit, data and job",
        description="Finds what would stop a site, in less than a minute, and says what to do.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--kit", type=file_path, help="unpacked start-up kit of a site, the server or a person"
    )
    parser.add_argument("--job", type=file_path, help="folder of the job that is about to run")
    parser.add_argument(
        "--site-file", type=file_path, help="site file (default local/fedvox_site.json of the kit)"
    )
    parser.add_argument("--root-ca", help="SHA-256 fingerprint of the root CA")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the checks and prints their findings.

    Returns:
        0 without a FAIL.
    """
    from fedvox.doctor.examine import examine
    from fedvox.finding import FAIL, table, worst

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[Kchecking {name} …", end="", file=sys.stderr, flush=True)

    findings = examine(args.kit, args.job, args.site_file, args.root_ca, tell)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    status = worst(findings)
    if args.json:
        rows = [finding.to_dict() for finding in findings]
        print(json.dumps({"status": status, "findings": rows}, indent=2))
    else:
        print(table(findings))
    return int(status == FAIL)
