"""A dry run of several hospitals on this machine: real processes, mTLS, phantom data.

Prepares the sites with `nvflare poc prepare`, starts a server and the sites, submits the job, shows
its rounds, downloads the results into the same files that the simulator leaves, and stops
everything, also after Ctrl-C or a failure.

Examples:
    python poc/dry_run.py
    python poc/dry_run.py --sites ct,mr --set training.rounds=1 --set training.steps=10
"""

import argparse
import sys
from pathlib import Path

from fedvox.flare.jobs.folder import job_settings
from fedvox.flare.loopback.dry_run import (
    exit_code,
    finish,
    make_job,
    site_modalities,
    work_folder,
    write_phantom_sites,
)
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import (
    free_ports,
    provision,
    read_project,
    with_encryption_keys,
    with_ports,
)
from fedvox.flare.loopback.submission import closing_text, submit

PROJECT = Path(__file__).parent / "project.yml"
USER = "admin@poc.org"
SITES = 3
"""Hospitals where ``--sites`` does not name them."""


def main() -> int:
    """Runs it; exit code 0 only if the job finished on all sites."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--job", default="fedgin", help="a job in jobs/ (default fedgin)")
    parser.add_argument(
        "--sites", help="modality per site (default three sites of the job's phantoms: ct,mr,mr)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/poc"), help="run folder to write")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting"
    )
    args = parser.parse_args()
    return exit_code("dry run", lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Prepares, runs, collects and stops."""
    modalities = site_modalities(args.job, args.set, args.sites, SITES)
    work = work_folder(args.out)
    project = with_ports(read_project(PROJECT), *free_ports(2))
    sites = [
        {"name": f"site-{index}", "type": "client", "org": f"hospital_{index}"}
        for index in range(1, len(modalities) + 1)
    ]
    project["participants"] = [*project["participants"], *sites]
    print(f"preparing {len(sites)} sites and their phantoms")
    job = make_job(args.job, work, "pinned", args.set, modalities)
    if job_settings(job).encryption is not None:
        project = with_encryption_keys(project)
    kits = provision(project, work / "kits", "poc")
    write_phantom_sites(kits, job, work)
    with Federation(kits) as federation, federation.joined(USER, print) as session:
        job_id = submit(session, job, work)
        print(f"submitted {args.job} as {job_id}")
        finish(federation, session, job_id, job, work, args.out)
    print(closing_text(args.out))


if __name__ == "__main__":
    sys.exit(main())
