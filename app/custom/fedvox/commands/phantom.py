"""``fedvox phantom``: writes procedural bodies, one folder and one site file per site."""

import argparse
import contextlib
import json
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedvox.commands.parser import file_path
from fedvox.commands.places import require_folder
from fedvox.phantoms.find_body import DEFAULT, body_names
from fedvox.phantoms.quality import GOOD, QUALITIES, quality_named

if TYPE_CHECKING:
    from fedvox.phantoms.body import Body

_DESCRIPTION = """\
Write phantom sites: procedural bodies as real NIfTI. Abdomens and hearts are rendered as CT or as
MRI; brains with a tumour as the four contrasts of BraTS, in its layout.

Each site gets its own patients, orientation and voxel spacing, and a site file that a job finds
through FEDVOX_SITE. phantom: a test instrument, not evidence about patients."""

MOST_CASES = 10_000

_EPILOG = """\
examples:
  fedvox phantom --out data
      one CT and one MRI site of 8 cases each
  fedvox phantom --out data --sites ct,ct,mr_t1,mr_t2 --cases 20 --seed 7
      four sites; 'mr' alternates between T1-like and T2-like, 'mr_t1' and 'mr_t2' hold one
  fedvox phantom --out small --cases 3 --spacing 12
      the quickest: 24 voxels along each axis
  fedvox phantom --body brain --out data
      two sites with t1, t1ce, t2 and flair of every case, for jobs/brats
  fedvox phantom --body brain --out data --sites t1+t1ce+t2+flair,flair+t1
      '+' joins the contrasts of a case, in the order of the site file
  fedvox phantom --body brain --out data --sites t1+t1ce+t2+flair,t2+flair,t1 --incomplete 0.3
      sites of unequal contrasts; three in ten training cases lack one more
  fedvox phantom --body heart --out data
      one CT and one MRI site with the seven structures of MM-WHS
  fedvox phantom --out uneven --sites ct,ct,ct,ct --quality good,noisy,wrong_labels,small
      sites of unequal quality; labels of validation and test cases are always right

Of each site's cases, 70% train, 10% choose the model and 20% are reported, at least one each.
phantom: a test instrument, not evidence about patients."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``phantom`` to the command line.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = subparsers.add_parser(
        "phantom",
        help="write phantom sites to try FedVox with (a test instrument, not evidence)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=file_path, required=True, help="folder for the sites")
    parser.add_argument(
        "--body",
        default=DEFAULT,
        choices=body_names(),
        help=f"what is drawn: {', '.join(body_names())} (default: {DEFAULT})",
    )
    parser.add_argument(
        "--sites",
        metavar="LIST",
        help="modality of each site, by commas: ct, mr, mr_t1, mr_t2, of a brain t1, t1ce, t2, "
        "flair or several joined by + (default: ct,mr, of a brain two sites with all four)",
    )
    parser.add_argument(
        "--quality",
        metavar="LIST",
        default=GOOD,
        help=f"of each site's data, by commas, in turn: {', '.join(QUALITIES)} (default: {GOOD}); "
        "noisy is five times the scanner's noise, wrong_labels are those of half of the "
        "training cases, small is a quarter of them",
    )
    parser.add_argument(
        "--incomplete",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the training cases of a site of several contrasts that lack one of them "
        "(default: 0)",
    )
    parser.add_argument("--cases", type=int, default=8, help="cases per site (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all sites (default: 0)")
    parser.add_argument(
        "--size", type=float, help="side of the field of view, mm (default: 288, of a brain 200)"
    )
    parser.add_argument(
        "--spacing", type=float, help="mean voxel spacing, mm (default: 6, of a brain 3)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the sites; all of them appear, or none.

    Args:
        args: what :func:`add_parser` declares.

    Returns:
        0.

    Raises:
        ConfigError: unknown modality or quality, fewer than three cases, a negative seed, a
            size out of range, a share that no site can have, a site that exists already, or a
            folder that cannot be written.
    """
    from fedvox.errors import ConfigError
    from fedvox.phantoms.find_body import body_named
    from fedvox.phantoms.incomplete import check_incomplete
    from fedvox.phantoms.writer import PHANTOM_NOTE

    body = body_named(args.body)
    listed = body.sites if args.sites is None else args.sites.split(",")
    modalities = [name.strip().lower() for name in listed]
    qualities = _qualities(args.quality)
    counts = split_counts(args.cases)
    check_incomplete(args.incomplete, modalities, "--incomplete")
    require_folder("--out", args.out)
    if args.seed < 0:
        raise ConfigError(f"--seed is {args.seed}; it must be 0 or more")
    try:
        sites = _write_sites(args, modalities, qualities, counts)
    except OSError as error:
        raise ConfigError(
            f"{args.out}: cannot write here ({error.strerror}); free the disk or choose another"
        ) from None
    next_command = _next(body, args.out, modalities, args.incomplete)
    if args.json:
        print(json.dumps({"note": PHANTOM_NOTE, "sites": sites, "next": next_command}, indent=2))
        return 0
    for site in sites:
        print(f"{site['folder']}: {_content(site)}; {site['site_file']}")
    print(PHANTOM_NOTE)
    print(f"Next: {next_command}")
    return 0


def _next(body: "Body", out: Path, held: list[str], incomplete: float) -> str:
    """The commands that train on the sites, whose cases may lack images that the job has."""
    whole = all(set(body.parts(name)) == set(body.modalities) for name in held)
    lacking = body.layout.several and (incomplete or not whole)
    job, before, sites = f"jobs/{body.lacking_job if lacking else body.job}", "", len(held)
    if body.changes:
        job = shlex.quote(str(out / "job" / body.name))
        changes = " ".join(f"--set {shlex.quote(change)}" for change in body.changes)
        folder = shlex.quote(str(out / "job"))
        before = f"fedvox job export {body.job} --out {folder} --code pinned --name {body.name}"
        before += f" {changes} && "
    location = shlex.quote(str(out))
    simulate = f"nvflare simulator {job} -n {sites} -t {sites}"
    return f"{before}FEDVOX_SITE={location}/{{site}}.json {simulate}"


def split_counts(cases: int) -> dict[str, int]:
    """Splits a number of cases 70/10/20, with at least one in each part.

    Raises:
        ConfigError: fewer than three cases, or more than any test needs.
    """
    from fedvox.errors import ConfigError

    if cases > MOST_CASES:
        raise ConfigError(f"--cases is {cases}; it must be at most {MOST_CASES}")
    if cases < 3:
        raise ConfigError(
            f"--cases is {cases}; it must be at least 3: one to train, one to choose, one to report"
        )
    val, test = max(1, round(0.1 * cases)), max(1, round(0.2 * cases))
    return {"train": cases - val - test, "val": val, "test": test}


def _write_sites(
    args: argparse.Namespace, modalities: list[str], qualities: list[str], counts: dict[str, int]
) -> list[dict[str, Any]]:
    from fedvox.files import write_json
    from fedvox.phantoms.writer import describe_phantoms, write_phantom_site

    names = [f"site-{number}" for number in range(1, len(modalities) + 1)]
    _refuse_existing(args.out, names)
    existed = args.out.exists()
    args.out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=args.out, prefix=".writing-"))
    sites = []
    try:
        for number, (name, modality) in enumerate(zip(names, modalities, strict=True), start=1):
            quality = qualities[(number - 1) % len(qualities)]
            write_phantom_site(
                staging / name,
                modality,
                counts,
                args.seed,
                number,
                size_mm=args.size,
                spacing_mm=args.spacing,
                body=args.body,
                quality=quality,
                incomplete=args.incomplete,
            )
            described = describe_phantoms(args.out / name, modality, args.body)
            write_json(staging / f"{name}.json", described)
            sites.append(
                {
                    "site": name,
                    "modality": modality,
                    "folder": str(args.out / name),
                    "site_file": str(args.out / f"{name}.json"),
                    "counts": _written(counts, quality),
                    "quality": quality,
                }
            )
        for path in sorted(staging.iterdir()):
            path.replace(args.out / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed:
            # Only an empty folder goes: a failed run leaves nothing of its own behind.
            with contextlib.suppress(OSError):
                args.out.rmdir()
    return sites


def _refuse_existing(out: Path, names: list[str]) -> None:
    from fedvox.errors import ConfigError

    for path in [candidate for name in names for candidate in (out / name, out / f"{name}.json")]:
        if path.exists():
            raise ConfigError(f"{path} exists already; remove it or choose another --out")


def _qualities(text: str) -> list[str]:
    return [quality_named(name.strip().lower()).name for name in text.split(",")]


def _written(counts: dict[str, int], quality: str) -> dict[str, int]:
    return {**counts, "train": QUALITIES[quality].kept(counts["train"])}


def _content(site: dict[str, Any]) -> str:
    """What a site holds, in words."""
    counts = ", ".join(f"{count} {split}" for split, count in site["counts"].items())
    quality = "" if site["quality"] == GOOD else f" ({site['quality']})"
    return f"{site['modality']}{quality}, {counts}"
