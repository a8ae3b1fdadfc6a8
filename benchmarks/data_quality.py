"""Does data quality tell bad phantom sites from good ones? Every body, contrast and quality.

Sites of one row differ in nothing but their quality: same patients, same grids. Prints the quality
of each and the seconds that all takes.

Example:
    python benchmarks/data_quality.py
    python benchmarks/data_quality.py --quick
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from fedvox.config import build
from fedvox.data.quality.site import cases_quality
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.flare.jobs.folder import find_job, job_settings
from fedvox.phantoms.find_body import body_named, body_names
from fedvox.phantoms.quality import QUALITIES
from fedvox.phantoms.writer import describe_phantoms, write_phantom_site


def measure(work: Path, body: str, modality: str, quality: str, seed: int, cases: int) -> float:
    """Quality of one site's training cases, on the grid of the body's own job."""
    root = work / f"{body}-{modality}-{quality}-{seed}"
    write_phantom_site(root, modality, {"train": cases}, seed, 1, body=body, quality=quality)
    job = job_settings(find_job(body_named(body).job))
    site = build(SiteSettings, describe_phantoms(root, modality, body), str(root))
    return cases_quality(open_site("site-1", site, job.data, work / f"state-{root.name}").train)


def main() -> None:
    """Reads the arguments, measures, prints one JSON object as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smoke run: abdomens, one seed")
    parser.add_argument("--cases", type=int, help="training cases (default 12, quick 2)")
    arguments = parser.parse_args()
    cases = arguments.cases or (2 if arguments.quick else 12)
    seeds = range(1 if arguments.quick else 3)
    told: dict[str, list[float]] = {quality: [] for quality in QUALITIES}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for body in ("abdomen",) if arguments.quick else body_names():
            for modality in dict.fromkeys(body_named(body).sites):
                for quality, found in told.items():
                    own = [
                        measure(Path(folder), body, modality, quality, seed, cases)
                        for seed in seeds
                    ]
                    found += own
                    print(f"{body:8} {modality:16} {quality:13} {own}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s, phantoms written and prepared included")
    spans = {name: [min(found), max(found)] for name, found in told.items()}
    bad = max(spans["noisy"][1], spans["wrong_labels"][1])
    print(json.dumps({**spans, "gap": round(spans["good"][0] - bad, 3)}))


if __name__ == "__main__":
    main()
