"""``fedvox job``: list, show and export job definitions."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from fedvox.commands.parser import file_path, lower
from fedvox.commands.places import require_folder
from fedvox.commands.text import visible
from fedvox.errors import ConfigError

_EPILOG = """\
examples:
  fedvox job list
  fedvox job show fedgin
  fedvox job export fedgin --out submit
      configuration only, for sites where the fedvox package is installed
  fedvox job export fedgin --out submit --min-clients 3
      the job waits for three sites before it starts
  fedvox job export fedgin --out submit --plan out/server/simulate_job/fedvox/plan.json
      with spacing, patch, batch and CT window of a plan run (nvflare simulator jobs/plan)
  fedvox job export fedgin --out submit --code carried
      with real copies of the package and a SHA-256 manifest
  fedvox job export fedgin --out mine --code pinned --set training.rounds=3
  fedvox job export fedgin --out mine --code pinned --name liver --set data.organs='["liver"]'
      a changed copy for the simulator: nvflare simulator mine/liver
  fedvox job diff received/fedgin --text
      what a job that carries code would run, against the package installed here
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``job`` to the command line."""
    parser = subparsers.add_parser(
        "job",
        help="list, show and export job definitions",
        description="Job definitions: list them, show their settings, export them for submission.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="names of the jobs")
    show = actions.add_parser("show", help="settings of a job")
    export = actions.add_parser(
        "export",
        help="write a job folder for submission",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for action, function in ((listing, run_list), (show, run_show), (export, run_export)):
        action.add_argument(
            "--jobs",
            type=file_path,
            help="folder of job definitions (default ./jobs and the built-in ones)",
        )
        action.add_argument("--json", action="store_true", help="print as JSON")
        action.set_defaults(run=function)
    for action in (show, export):
        action.add_argument("name", help="name of the job, or the path of its folder")
    _add_diff(actions)
    export.add_argument("--out", type=file_path, required=True, help="folder for the exported job")
    export.add_argument(
        "--code",
        type=lower,
        choices=("preinstalled", "carried", "pinned"),
        default="preinstalled",
        help="how code reaches a site (default preinstalled)",
    )
    export.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting"
    )
    export.add_argument(
        "--plan",
        type=file_path,
        metavar="FILE",
        help="plan.json of a plan run: its values, which --set may change again",
    )
    export.add_argument(
        "--name", dest="new_name", help="name of the exported job (letters, digits, _ and -)"
    )
    export.add_argument(
        "--min-clients",
        type=int,
        metavar="N",
        help="sites without which the job does not start or go on, short for --set waiting.sites=N",
    )


def _add_diff(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    diff = actions.add_parser(
        "diff",
        help="judge a received job: its code and its configuration",
        description="For a site that reviews a job: exit code 0 only if the job matches its own "
        "manifest, carries exactly the reviewed package, deploys nothing else and names no class "
        "but those of the project's jobs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("folder", type=file_path, help="the received job folder")
    diff.add_argument(
        "--against", type=file_path, help="reviewed package (default the installed one)"
    )
    diff.add_argument("--text", action="store_true", help="print changed lines too")
    diff.add_argument("--json", action="store_true", help="print as JSON")
    diff.set_defaults(run=run_diff)


def run_diff(args: argparse.Namespace) -> int:
    """Prints what differs; 0 when nothing does."""
    from fedvox.flare.jobs.carried import carries_code, review, unified
    from fedvox.flare.jobs.folder import require_job
    from fedvox.flare.jobs.review import job_problems

    require_job(args.folder)
    sealed, code = review(args.folder, args.against)
    job = job_problems(args.folder)
    if args.json:
        print(json.dumps({"manifest": sealed, "code": code, "job": job}, indent=2))
    else:
        for line in sealed:
            print(visible(f"against its manifest: {line}"))
        for line in code:
            print(visible(f"against the reviewed package: {line}"))
        for line in job:
            print(visible(f"against an export: {line}"))
        if args.text:
            for line in unified(args.folder, code, args.against).split("\n")[:-1]:
                print(visible(line))
        if not sealed and not code and not job:
            print(
                "the job matches its manifest and carries exactly the reviewed package"
                if carries_code(args.folder)
                else "the job carries no code, and is configuration as an export writes it"
            )
    return int(bool(sealed or code or job))


def run_list(args: argparse.Namespace) -> int:
    """Prints the jobs with their augmentation, organs and length."""
    from fedvox.flare.jobs.folder import job_settings, known_jobs, plans_only

    known = dict(sorted(known_jobs(args.jobs).items()))
    if args.json:
        print(json.dumps(list(known)))
        return 0
    _say_where(known)
    for name, folder in known.items():
        job = job_settings(folder)
        if plans_only(folder):
            print(f"{name:12s} plans spacing, patch, batch and CT window from the sites' data")
            continue
        print(
            f"{name:12s} augmentation {job.augmentation.name}, {len(job.data.organs)} organs, "
            f"{job.training.rounds} rounds of {job.training.steps} steps"
        )
    return 0


def _say_where(known: Mapping[str, Path]) -> None:
    """On stderr, where jobs of more than one folder are listed."""
    folders = {str(folder.parent): "" for folder in known.values()}
    if len(folders) > 1:
        print(visible(f"note: jobs of {' and '.join(sorted(folders))}"), file=sys.stderr)


def _say_hidden(args: argparse.Namespace) -> None:
    """On stderr, where a job of the current folder comes before a built-in one of its name."""
    from fedvox.flare.jobs.folder import hidden_job

    hidden = hidden_job(args.name, args.jobs)
    if hidden:
        note = f"note: '{args.name}' of ./jobs; the built-in one: --jobs {hidden.parent}"
        print(visible(note), file=sys.stderr)


def run_show(args: argparse.Namespace) -> int:
    """Prints all settings of a job, defaults included, one per line."""
    from fedvox.config import flattened, to_mapping
    from fedvox.flare.jobs.folder import find_job, job_settings

    settings = job_settings(find_job(args.name, args.jobs))
    _say_hidden(args)
    if args.json:
        print(json.dumps(to_mapping(settings), indent=2))
        return 0
    for key, value in flattened(settings).items():
        print(f"{key} = {json.dumps(value)}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Writes a job folder and prints how to run or submit it."""
    from fedvox.flare.jobs.export import export_job
    from fedvox.flare.jobs.folder import find_job
    from fedvox.flare.jobs.overrides import refuse_repeated
    from fedvox.flare.jobs.readme import simulator_line
    from fedvox.job.settings import read_job
    from fedvox.job.waiting_settings import MOST_SITES

    sites = []
    if args.min_clients is not None:
        if not 1 <= args.min_clients <= MOST_SITES:
            raise ConfigError(
                f"--min-clients {args.min_clients}: a job needs 1 to {MOST_SITES} sites"
            )
        sites = [f"waiting.sites={args.min_clients}"]
    refuse_repeated([*args.set, *sites])
    source = find_job(args.name, args.jobs)
    _say_hidden(args)
    require_folder("--out", args.out)
    target = export_job(
        source,
        args.out,
        args.code,
        [*args.set, *sites],
        args.new_name,
        plan=args.plan,
    )
    if args.json:
        print(json.dumps({"job": str(target), "code": args.code}))
        return 0
    print(target)
    place = shlex.quote(str(target))
    job = read_job(target / "app/config/training.json")
    following = {
        "preinstalled": f"fedvox doctor --kit KIT --job {place} at each site, then "
        f"nvflare job submit -j {place}",
        "carried": f"fedvox job diff {place} at each site, then nvflare job submit -j {place}",
        "pinned": simulator_line(place, job),
    }
    print(f"Next: {following[args.code]}")
    return 0
