"""The provisioned kits as a running federation on this machine: submit, watch, download, stop.

Starts the kits that `make provision` built (server and three hospitals, mTLS, carried code off),
submits the job once through the admin console and once through the FLARE API, compares both results
and stops everything, also after Ctrl-C or a failure. Hospitals read phantoms.

Examples:
    python provisioning/secure_run.py
    python provisioning/secure_run.py --via api --set training.rounds=1 --set training.steps=10
"""

import argparse
import csv
import os
import sys
import zipfile
from pathlib import Path

from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.loopback.dry_run import (
    check_replaceable,
    exit_code,
    finish,
    make_job,
    site_modalities,
    work_folder,
    write_phantom_sites,
)
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import (
    Kits,
    copy_kits,
    latest_kits,
    read_project,
    require_free_ports,
)
from fedvox.flare.loopback.submission import closing_text, submit, submit_by_console

PROJECT = Path(__file__).parent / "project.yml"


def main() -> int:
    """Runs it; exit code 0 only if every submission finished on all sites."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, default=PROJECT, help="project file")
    parser.add_argument("--kits", type=Path, default=Path("runs/provision"), help="built kits")
    parser.add_argument("--job", default="fedgin", help="a job in jobs/ (default fedgin)")
    parser.add_argument(
        "--code",
        choices=("preinstalled", "carried"),
        default="preinstalled",
        help="how code reaches the sites (default preinstalled)",
    )
    parser.add_argument(
        "--via",
        choices=("console", "api", "both"),
        default="both",
        help="who submits: admin console, FLARE API or one after the other (default both)",
    )
    parser.add_argument(
        "--sites", help="modality per site (default the job's phantoms, as ct,mr,mr for fedgin)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/secure"), help="run folder to write")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting"
    )
    args = parser.parse_args()
    return exit_code("secure run", lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Starts the kits, submits, compares, stops."""
    ways = ["console", "api"] if args.via == "both" else [args.via]
    *earlier, last = ways
    outs = {way: Path(f"{args.out.resolve()}-{way}") for way in earlier} | {last: args.out}
    check_replaceable(args.out, *outs.values())
    project = read_project(args.project)
    built = latest_kits(project, args.kits)
    lead = built.person("lead")
    if args.sites is not None:
        require_sites(built, args.sites)
    require_free_ports(project)
    modalities = site_modalities(args.job, args.set, args.sites, len(built.names("client")))
    work = work_folder(args.out, *outs.values())
    kits = copy_kits(built, work / "kits")
    job = make_job(args.job, work, args.code, args.set, modalities)
    write_phantom_sites(kits, job, work)
    results = {}
    with Federation(kits) as federation, federation.joined(lead, print) as session:
        for way in ways:
            job_id = (
                submit(session, job, work)
                if way == "api"
                else submit_by_console(federation, lead, job)
            )
            print(f"submitted {args.job} through the {way} as {job_id}")
            results[way] = finish(federation, session, job_id, job, work, outs[way])
    print("all that went to the sites, FLARE's signatures included:")
    print("\n".join(f"  {name}" for name in travelled(kits, job_id) if not name.endswith("/")))
    if len(results) == 2:
        largest = difference(*results.values())
        print(f"largest difference in Dice between the console's and the API's run: {largest:.1e}")
    for way in earlier:
        print(f"results of the {way}: {os.path.relpath(outs[way])}")
    print(closing_text(args.out))


def require_sites(kits: Kits, sites: str) -> None:
    """Refuses another number of modalities than the project has sites.

    Raises:
        ConfigError: names both numbers.
    """
    named, there = len(sites.split(",")), len(kits.names("client"))
    if named != there:
        raise ConfigError(
            f"--sites names {named} modalities, the project has {there} sites; name one for each"
        )


def travelled(kits: Kits, job_id: str) -> list[str]:
    """Files of the job archive in the server's store: everything that went to the sites."""
    archive = kits.kit(kits.server) / "jobs-storage" / "jobs" / job_id / "data"
    with zipfile.ZipFile(archive) as content:
        return sorted(content.namelist())


def difference(first: Path, second: Path) -> float:
    """Largest difference of a mean Dice between two runs' ``summary.csv``."""
    tables = []
    for folder in (first, second):
        with (folder / "summary.csv").open() as stream:
            rows = csv.DictReader(stream)
            keys = ("model", "modality", "organ", "site")
            tables.append({tuple(r[key] for key in keys): r["dice_mean"] for r in rows})
    if tables[0].keys() != tables[1].keys():
        raise FedVoxError("the two runs' tables have different rows")
    pairs = [(a, tables[1][key]) for key, a in tables[0].items()]
    return max((abs(float(a) - float(b)) for a, b in pairs if a and b), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
