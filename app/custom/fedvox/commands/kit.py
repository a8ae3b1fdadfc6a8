"""``fedvox kit``: templates of kits, start-up kits for clusters, renewal of certificates."""

import argparse
import json
import shlex

from fedvox.commands.parser import file_path
from fedvox.commands.places import require_folder, require_place

_EPILOG = """\
examples:
  fedvox kit templates --out .
      project.yml, policies and runtimes into ./provisioning, where there is no checkout
  fedvox kit prepare site-1 --config provisioning/runtimes/k8s.yml --out site-1-k8s \\
      --data fedvox-data --cache fedvox-cache
      a Helm chart; FLARE starts every job in its own pod, names are claims
  fedvox kit prepare site-1 --config provisioning/runtimes/slurm.yml --out /shared/site-1 \\
      --data /data/abdomen --cache /scratch/fedvox
      start scripts; FLARE submits every job to Slurm, names are folders
  fedvox kit renew site-1 --state runs/provision/fedvox/state
      a new certificate for site-1 at the next provisioning
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``kit`` to the command line."""
    parser = subparsers.add_parser(
        "kit",
        help="prepare a start-up kit for a cluster, renew a certificate",
        description="Start-up kits: templates to build them from, prepare one for Kubernetes or "
        "Slurm, renew a certificate.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    prepare = actions.add_parser(
        "prepare",
        help="have FLARE start each job in its own pod or Slurm job",
        description="Runs 'nvflare deploy prepare' on a kit and keeps the kit's policy and seal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument(
        "kit", type=file_path, help="unpacked start-up kit of a site or the server"
    )
    prepare.add_argument(
        "--config", type=file_path, required=True, help="FLARE's configuration (YAML)"
    )
    prepare.add_argument(
        "--out", type=file_path, required=True, help="prepared kit; under Slurm where it will lie"
    )
    prepare.add_argument(
        "--data",
        default="fedvox-data",
        help="images, mounted read-only: claim or folder (default fedvox-data)",
    )
    prepare.add_argument(
        "--cache",
        default="fedvox-cache",
        help="what jobs may write: claim or folder (default fedvox-cache)",
    )
    prepare.add_argument("--json", action="store_true", help="print as JSON")
    prepare.set_defaults(run=run_prepare)
    _add_templates(actions)
    renew = actions.add_parser(
        "renew",
        help="renew one participant's certificate",
        description="Takes a certificate out of FLARE's store, so that the next provisioning makes "
        "a new one; the root CA and the other certificates stay.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    renew.add_argument("name", help="participant, as in the project file")
    renew.add_argument("--state", type=file_path, required=True, help="state folder of the project")
    renew.set_defaults(run=run_renew)


def _add_templates(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    templates = actions.add_parser(
        "templates",
        help="write project file, policies and runtimes to start from",
        description="Copies what a checkout holds in provisioning/: the project file, the policies "
        "of the kits and the files of each runtime.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    templates.add_argument(
        "--out", type=file_path, required=True, help="folder in which provisioning/ appears"
    )
    templates.set_defaults(run=run_templates)


def run_templates(args: argparse.Namespace) -> int:
    """Writes the templates and prints what comes next."""
    from fedvox.resources import write_templates

    require_folder("--out", args.out)
    written = write_templates(args.out)
    print("\n".join(str(path) for path in written))
    print("Next, in that folder: nvflare provision -p provisioning/project.yml -w runs/provision")
    return 0


def run_prepare(args: argparse.Namespace) -> int:
    """Writes a prepared kit and prints what comes next."""
    from fedvox.flare.kits.cluster import CACHE, IMAGES
    from fedvox.flare.kits.prepare import Request, prepare_kit
    from fedvox.flare.kits.prepared import K8S

    require_place("--out", args.out)
    made = prepare_kit(Request(args.kit, args.config, args.out, args.data, args.cache))
    out = args.out.resolve()
    if args.json:
        scripts = sorted(made.scripts)
        print(json.dumps({"kit": str(out), "runtime": made.runtime, "scripts": scripts}))
        return 0
    print(out)
    if (out / "startup/fed_client.json").is_file():
        print(f'In local/fedvox_site.json write "root": "{IMAGES}" and "cache": "{CACHE}".')
    quoted = shlex.quote(str(out))
    if made.runtime == K8S:
        print(f"Next: nvflare deploy k8s stage {quoted}, then the helm command that it prints")
    elif "startup/parent.slurm" in made.scripts:
        print(f"Next: sbatch {quoted}/startup/parent.slurm")
    else:
        print(f"Next: {quoted}/startup/start_slurm.sh")
    return 0


def run_renew(args: argparse.Namespace) -> int:
    """Forgets a certificate and prints how a new one is made."""
    from fedvox.flare.kits.renew import renew

    renew(args.name, args.state)
    work = shlex.quote(str(args.state.resolve().parents[1]))
    print(f"{args.name} gets a new certificate; the old one stays valid until it expires.")
    print(f"Next, with your project file: nvflare provision -p PROJECT -w {work} --force")
    return 0
