"""Preparing a site's cases and reading them back, against MONAI's cached data sets.

Phantom scans of a hospital's size (8 CT and 8 MRI of 256x256x128 voxels, 1.25 x 1.25 x 2.5 mm, as
.nii.gz) are brought to 2 mm. Ours: the opening of a site (read, check, orient, scale, resample,
keep on disk). Rivals: LoadImaged, EnsureChannelFirstd, Orientationd, the same scaling to [0, 1] and
Spacingd with the same field of view (image bilinear, label nearest) in a CacheDataset, which keeps
items in memory, and in a PersistentDataset, which keeps them on disk. MONAI has no percentile of
the body, so the MRI window of the rivals is borrowed from FedVox. Spacingd does not average along
axes that get coarser, as FedVox does: the rivals do less, and images differ by it. Cold is a first
start, warm a later one, of which there are three; both end when two threads have read every memory
page (4 KiB) of every image and label: the unit in which a mapped file is read, and no arithmetic
that would cost both sides the same. A CacheDataset has no warm start: it computes again. Each run
is a process of its own with two workers of one thread each. The loading of libraries does not
count: a tiny site is opened before. Ratios are the faster rival's median time over ours. The last
figure is the share of training's time, with the settings of jobs/fedgin on phantoms, in which the
loop waits for its next patches.

Example:
    python benchmarks/preprocess.py
    python benchmarks/preprocess.py --quick
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

WORKERS = 2
SPACING = 2.0
PAGE = 4096
WARM_STARTS = 3
"""Warm starts after each cold one: they are short, and page caches are not always whole."""
CONTRASTS = {"ct": ("ct",), "mr": ("mr_t1", "mr_t2")}

T = TypeVar("T")


def write_site(folder: Path, modality: str, cases: int, shape: tuple[int, int, int]) -> None:
    """Writes phantoms drawn at a quarter of the resolution and enlarged, with fresh noise."""
    import nibabel as nib
    import numpy as np

    from fedvox.phantoms.abdomen import BODY
    from fedvox.phantoms.grid import oriented_grid
    from fedvox.phantoms.scan import scan

    spacing = np.array([320 / shape[0], 320 / shape[1], 320 / shape[2]])
    affine = oriented_grid(shape, spacing, (0, 0, 0), "LPS").affine
    small = oriented_grid([edge // 4 for edge in shape], spacing * 4, (0, 0, 0), "LPS")
    names = [f"{modality}_{number:02d}" for number in range(cases)]
    for number, name in enumerate(names):
        contrast = CONTRASTS[modality][number % len(CONTRASTS[modality])]
        (drawn,), labels = scan(BODY, number, [contrast], small)
        image, label = (np.kron(part, np.ones((4, 4, 4), part.dtype)) for part in (drawn, labels))
        noise = np.random.default_rng(number).normal(0, 12, shape).astype(np.int16)
        image = image + noise if modality == "ct" else np.maximum(image + noise, 0)
        for part, data in (("images", image), ("labels", label)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            volume = nib.Nifti1Image(data, affine)
            volume.set_sform(affine, 1)
            volume.set_qform(affine, 1)
            nib.save(volume, folder / part / f"{name}.nii.gz")
    table = {organ: value for value, organ in enumerate(BODY.organs, start=1)}
    (folder / "labels.json").write_text(json.dumps(table))
    (folder / "split.json").write_text(json.dumps({"train": names}))


def fedvox_items(work: Path) -> Sequence[Any]:
    """Ours: both sites opened; what is prepared already is only found."""
    from fedvox.data.settings import DataSettings
    from fedvox.data.site.site_data import open_site
    from fedvox.data.site.site_file import SiteSettings
    from fedvox.phantoms.abdomen.tissue import ORGANS

    settings = DataSettings(organs=tuple(ORGANS), spacing=(SPACING,) * 3)
    cases: list[Any] = []
    for modality in CONTRASTS:
        root, cache = work / modality, work / "fedvox"
        site = SiteSettings(
            "plain", str(root), (modality,), str(root / "split.json"), str(cache), workers=WORKERS
        )
        cases += open_site(modality, site, settings, cache).train
    return [lambda case=case: (case.tensor("image")[0], case.tensor("label")) for case in cases]


def chain(modality: str) -> Any:
    """The rivals' transforms."""
    import monai.transforms as mt

    from fedvox.data.grid.to_grid import intensity_window
    from fedvox.data.settings import DataSettings

    settings = DataSettings(organs=("liver",))

    def scale(image: Any) -> Any:
        low, high = intensity_window(image.as_tensor()[0], "mr", settings)
        return mt.ScaleIntensityRange(low, high, 0, 1, clip=True)(image)

    both = ("image", "label")
    low, high = settings.ct_window
    return mt.Compose(
        [
            mt.LoadImaged(both),
            mt.EnsureChannelFirstd(both),
            mt.Orientationd(both, "RAS", labels=None),
            mt.ScaleIntensityRanged("image", low, high, 0, 1, clip=True)
            if modality == "ct"
            else mt.Lambdad("image", scale),
            mt.Spacingd(
                both,
                (SPACING,) * 3,
                mode=("bilinear", "nearest"),
                scale_extent=True,
                padding_mode="border",
            ),
        ]
    )


def monai_items(work: Path, kind: str) -> Sequence[Any]:
    """A rival's two data sets, one for each modality, since their windows differ."""
    from monai.data import CacheDataset, PersistentDataset

    getters = []
    for modality in CONTRASTS:
        images = sorted((work / modality / "images").iterdir())
        labels = work / modality / "labels"
        data = [{"image": str(p), "label": str(labels / p.name)} for p in images]
        if kind == "cache":
            found: Any = CacheDataset(data, chain(modality), num_workers=WORKERS, progress=False)
        else:
            found = PersistentDataset(data, chain(modality), work / "persistent")
        getters += [lambda found=found, i=i: found[i] for i in range(len(data))]
    return [lambda get=get: tuple(get()[key][0] for key in ("image", "label")) for get in getters]


ARMS = {
    "fedvox": fedvox_items,
    "cache": lambda work: monai_items(work, "cache"),
    "persistent": lambda work: monai_items(work, "persistent"),
}


def wait_share(work: Path, steps: int) -> float:
    """Trains a part of a round of jobs/fedgin; the share of its time spent on waiting."""
    import dataclasses

    from fedvox.data.site.site_data import open_site
    from fedvox.flare.jobs.folder import job_settings
    from fedvox.flare.run.site_setup import phantom_site
    from fedvox.job.device import prepare_device
    from fedvox.job.model import initial_model
    from fedvox.training.local_round import train_round

    job = job_settings(Path(__file__).parents[1] / "jobs" / "fedgin")
    counts = dataclasses.replace(job.phantom, train=4, val=0, test=0)
    job = dataclasses.replace(job, training=dataclasses.replace(job.training, steps=steps))
    device = prepare_device(job.training)
    site = open_site("site-1", phantom_site("site-1", counts, work / "p"), job.data, work / "s")
    model = initial_model(job).to(device)
    result = train_round(model, site.train, job, site.name, 0, work / "s", device)
    assert result is not None
    return result.data_wait


def read_all(getters: Sequence[Any]) -> None:
    """Reads every memory page of every case, with two threads."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda get: [read_pages(part) for part in get()], getters))


def read_pages(part: Any) -> float:
    """Reads one voxel of each memory page."""
    import torch

    flat = part.as_subclass(torch.Tensor).flatten()
    return float(flat[:: PAGE // flat.element_size()].max())


def run_arm(arm: str, work: Path, keep: Path | None) -> tuple[float, float]:
    """One start of one arm in this process; wall seconds and seconds of CPU."""
    import torch

    import fedvox.data.site.site_data  # noqa: F401

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    read_all(ARMS[arm](work / "tiny"))  # loads what both sides load at first use
    start, used = time.perf_counter(), time.process_time()
    getters = ARMS[arm](work)
    read_all(getters)
    spent = time.perf_counter() - start, time.process_time() - used
    if keep:
        parts = [[part.as_subclass(torch.Tensor) for part in get()] for get in getters]
        torch.save([(image, label.to(torch.uint8)) for image, label in parts], keep)
    return spent


def alone(work: Callable[..., T], *arguments: object) -> T:
    """Calls a function in a process of its own."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(work, *arguments).result()


def differences(first: Path, second: Path) -> tuple[float, float]:
    """Largest difference of an image voxel, and the share of label voxels that differ."""
    import torch

    read = [torch.load(path, weights_only=True) for path in (first, second)]
    pairs = list(zip(*read, strict=True))
    image = max(float((a - b).abs().max()) for (a, _), (b, _) in pairs)
    other = sum(int((a != b).sum()) for (_, a), (_, b) in pairs)
    return image, other / sum(a.numel() for (_, a), _ in pairs)


def main() -> int:
    """Measures all arms in turn, cold and warm, and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each arm (default 3)")
    parser.add_argument("--quick", action="store_true", help="smoke run: 4 small cases, once")
    args = parser.parse_args()
    cases, shape = (2, (128, 128, 64)) if args.quick else (8, (256, 256, 128))
    repeats, warm = (1, 1) if args.quick else (args.repeats, WARM_STARTS)
    seconds: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for modality in CONTRASTS:
            write_site(work / modality, modality, cases, shape)
            write_site(work / "tiny" / modality, modality, 1, (64, 64, 64))
        for repeat in range(repeats):
            order = list(ARMS) if repeat % 2 == 0 else list(ARMS)[::-1]
            for arm in order:
                shutil.rmtree(work / arm, ignore_errors=True)
            for start in ("cold", *["warm"] * warm):
                for arm in order:
                    last = repeat == repeats - 1 and start == "warm"
                    figures = alone(run_arm, arm, work, work / f"{arm}.pt" if last else None)
                    seconds.setdefault(f"{arm}_{start}", []).append(figures)
                    print(f"{arm} {start}: {figures[0]:.2f} s, {figures[1]:.2f} s CPU", flush=True)
        waiting = alone(wait_share, work / "wait", 4 if args.quick else 48)
        image, label = differences(work / "fedvox.pt", work / "persistent.pt")
    print(
        json.dumps(
            ratios(seconds)
            | {
                "image_difference": image,
                "label_share": label,
                "wait_share": round(waiting, 5),
                "cases": 2 * cases,
                "shape": list(shape),
                "repeats": repeats,
                "cores": os.cpu_count(),
            }
        )
    )
    return 0


def ratios(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """Ratios to the faster rival, by wall time and by time of the processors."""
    wall, used = (
        {name: statistics.median(run[place] for run in runs) for name, runs in seconds.items()}
        for place in (0, 1)
    )
    result: dict[str, Any] = {}
    for start in ("cold", "warm"):
        rival = min(("cache", "persistent"), key=lambda arm: wall[f"{arm}_{start}"])
        for word, values in (("ratio", wall), ("cpu_ratio", used)):
            ratio = values[f"{rival}_{start}"] / values[f"fedvox_{start}"]
            result[f"{start}_{word}"] = round(ratio, 3)
        result[f"{start}_rival"] = {"cache": "CacheDataset", "persistent": "PersistentDataset"}[
            rival
        ]
    result["seconds"] = {name: round(value, 3) for name, value in wall.items()}
    result["cpu_seconds"] = {name: round(value, 3) for name, value in used.items()}
    return result


if __name__ == "__main__":
    sys.exit(main())
