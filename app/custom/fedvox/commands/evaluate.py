"""``fedvox evaluate``: a trained model on one site's cases, without a federation."""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fedvox.commands.computing import add_computing, threads_of
from fedvox.commands.parser import file_path, lower
from fedvox.commands.places import require_model, require_place
from fedvox.commands.text import note_untrained

if TYPE_CHECKING:
    from fedvox.data.site.site_data import SiteData
    from fedvox.inference.model_files.model_file import TrainedModel

_DESCRIPTION = """\
External validation: scores a trained model on the cases of one site (Dice, HD95, NSD per case and
organ, on the scanner's own grid) and prints the means with 95% intervals. The site file is the one
that training uses; a site that only tests lists its cases under "test" and needs no other part.
Where the model's job says "evaluation.subsets", test cases are scored on every subset of the
modalities that they have. Cases are called by codes; no file name is printed."""

_EPILOG = """\
examples:
  fedvox evaluate --model runs/fedgin/model.safetensors sites/site-3.json
  fedvox evaluate --model runs/fedgin/model.safetensors sites/site-3.json --out private/site-3
      also writes metrics.csv (one row per case and organ) and summary.csv
  fedvox evaluate --model model.safetensors sites/site-3.json --split val --json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``evaluate`` to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a trained model on one site's cases",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("site_file", metavar="SITE_FILE", type=file_path, help="fedvox_site.json")
    parser.add_argument("--model", type=file_path, required=True, help="model.safetensors of a run")
    parser.add_argument(
        "--split", type=lower, choices=("test", "val"), default="test", help="default: test"
    )
    parser.add_argument("--out", type=file_path, metavar="DIR", help="folder for the tables")
    add_computing(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scores the model and prints the table.

    Returns:
        0.

    Raises:
        ModelError: the model file is wrong or damaged.
        ConfigError: an option or the site file is wrong.
        DataError: the site's cases cannot be used.
    """
    from fedvox.data.site.site_file import read_site_file

    threads = threads_of(args)
    require_model(args.model)
    if args.out:
        require_place("--out", args.out, args.out / "metrics.csv")
    site = read_site_file(args.site_file)
    # Imported here, so that a wrong option does not wait for PyTorch.
    from fedvox.data.site.site_data import open_site
    from fedvox.inference.model_files.model_file import read_model

    trained = read_model(args.model).on(args.device, threads)
    with tempfile.TemporaryDirectory() as state:
        opened = open_site(
            args.site_file.stem, site, trained.job.data, Path(state), True, needs=args.split
        )
        return _score(args, trained, opened)


def _score(args: argparse.Namespace, trained: "TrainedModel", site: "SiteData") -> int:
    from dataclasses import asdict

    from fedvox.data.settings import singles
    from fedvox.files import private_folder
    from fedvox.inference.evaluate_site import evaluate_model
    from fedvox.inference.model_files.description import untrained
    from fedvox.metrics.subsets import as_held
    from fedvox.metrics.summary import summarise
    from fedvox.metrics.table import MetricRow, SummaryRow, write_csv
    from fedvox.metrics.text_table import format_subsets, format_table

    rows = evaluate_model(trained, site, args.split, progress=True)
    note_untrained(untrained(trained.description, sorted(singles(site.modalities))))
    summary = summarise(rows)
    if args.out:
        private_folder(args.out)
        write_csv(args.out / "metrics.csv", rows, MetricRow)
        write_csv(args.out / "summary.csv", summary, SummaryRow)
    if args.json:
        plain = [{k: _plain(v) for k, v in asdict(row).items()} for row in summary]
        print(json.dumps({"skipped": len(site.skipped), "summary": plain}, indent=2))
        return 0
    subsets = trained.job.evaluation.subsets
    print(format_table(as_held(summary) if subsets else summary, site.phantom))
    if subsets and (table := format_subsets(summary, trained.job.data.channels, site.phantom)):
        print(f"\n{table}")
    if site.skipped:
        print(f"{len(site.skipped)} cases could not be used; fedvox check names them")
    if args.out:
        print(f"results: {args.out}")
    return 0


def _plain(value: object) -> object:
    """JSON knows no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
