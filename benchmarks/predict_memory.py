"""Time and peak memory of `fedvox predict` against plain MONAI with the same network.

A phantom CT of 512x512x300 voxels (0.8 x 0.8 x 1 mm) is segmented on a grid of 1.5 mm, in windows
of 96 voxels, by the network of jobs/fedgin with its initial weights: time and memory do not depend
on what it has learnt, and unlearnt scores are close to each other, which makes equal labels a hard
test. The rival is what a user writes with MONAI and PyTorch: load, resample to the grid,
SlidingWindowInferer over the whole volume with the scores of all classes on the CPU, resample
them to the stored grid, argmax, save. Both average the softmax of each window. Each runs in a
process of its own; time is that of the whole process, memory its VmHWM. The label files must be
equal. The phantom is drawn at a quarter of the resolution and enlarged with fresh noise.

Example:
    python benchmarks/predict_memory.py
    python benchmarks/predict_memory.py --quick
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ORGANS = ["liver", "spleen", "kidney_right", "kidney_left", "pancreas", "gallbladder"]
LOW, HIGH = -160.0, 240.0  # HU, the job's window


def write_scan(path: Path, shape: tuple[int, int, int], enlarge: int) -> None:
    """Writes a phantom CT of ``shape`` as int16 NIfTI, stored in LPS order."""
    import nibabel as nib
    import numpy as np

    from fedvox.phantoms.abdomen import BODY
    from fedvox.phantoms.grid import oriented_grid
    from fedvox.phantoms.scan import scan

    spacing = 0.8 * 512 / shape[0], 0.8 * 512 / shape[1], 300 / shape[2]
    coarse = [-(-size // enlarge) for size in shape]
    grid = oriented_grid(coarse, np.array(spacing) * enlarge, (0, 0, 0), "LPS")
    (data,), _ = scan(BODY, 0, ["ct"], grid)
    x, y, z = shape
    for axis in range(3):
        data = np.repeat(data, enlarge, axis=axis)
    data = data[:x, :y, :z]
    rng = np.random.default_rng(0)
    for plane in data:  # plane by plane: the noise is float64
        plane += rng.normal(0, 12, plane.shape).astype(np.int16)
    affine = oriented_grid(shape, spacing, (0, 0, 0), "LPS").affine
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nib.save(image, path)


def write_network(folder: Path, spacing: float, patch: int) -> Path:
    """Writes the model file of an untrained network of the size of jobs/fedgin's."""
    from fedvox.inference.model_files.model_file import describe_model, write_model
    from fedvox.job.model import initial_model
    from fedvox.job.settings import job_from
    from fedvox.job.weights import weights_of

    job = job_from(
        {
            "name": "predict_memory",
            "data": {"organs": ORGANS, "spacing": [spacing] * 3, "patch": [patch] * 3},
            "network": {"channels": [16, 32, 64, 128, 128], "residual_units": 0},
            "evaluation": {"overlap": 0.25},
        }
    )
    weights = weights_of(initial_model(job))
    return write_model(folder, weights, describe_model(job, weights, 0, True, ["ct"]))


def fedvox_arm(model: Path, scan: Path, out: Path, threads: int) -> None:
    """Ours: the command itself."""
    from fedvox.commands.main import main as command

    words = ["--model", model, "--input", scan, "--modality", "ct", "--output", out]
    if command(["predict", *map(str, words), "--threads", str(threads), "--device", "cpu"]):
        raise RuntimeError("fedvox predict failed")


def plain_arm(model: Path, scan: Path, out: Path, threads: int) -> None:
    """The rival: plain MONAI, PyTorch and nibabel; of FedVox only the network and its weights."""
    import nibabel as nib
    import numpy as np
    import torch
    from monai.inferers import SlidingWindowInferer
    from torch.nn.functional import interpolate

    from fedvox.inference.model_files.model_file import read_model
    from fedvox.job.model import initial_model
    from fedvox.job.weights import load_weights

    torch.set_num_threads(threads)
    trained = read_model(model)
    network = initial_model(trained.job).eval()
    load_weights(network, trained.weights)

    def probabilities(window: torch.Tensor) -> torch.Tensor:
        std, mean = torch.std_mean(window, dim=(2, 3, 4), keepdim=True, correction=0)
        return torch.softmax(network((window - mean) / (std + 1e-5)), dim=1)

    stored = nib.load(scan)
    canonical = nib.as_closest_canonical(stored)
    image = torch.from_numpy(np.ascontiguousarray(canonical.get_fdata(dtype=np.float32)))
    image = ((image.clamp(LOW, HIGH) - LOW) / (HIGH - LOW))[None, None]
    settings = trained.job.data
    shape = tuple(image.shape[2:])
    sizes = [n * mm for n, mm in zip(shape, canonical.header.get_zooms())]
    grid = [max(1, round(size / mm)) for size, mm in zip(sizes, settings.spacing)]
    inferer = SlidingWindowInferer(
        settings.patch, overlap=trained.job.evaluation.overlap, mode="gaussian"
    )
    with torch.inference_mode():
        image = interpolate(image, size=grid, mode="trilinear", align_corners=False)
        scores = inferer(image, probabilities)
        scores = interpolate(scores, size=shape, mode="trilinear", align_corners=False)
        labels = scores.argmax(dim=1)[0].to(torch.uint8).numpy()
    change = nib.orientations.ornt_transform(
        nib.io_orientation(canonical.affine), nib.io_orientation(stored.affine)
    )
    header = stored.header.copy()
    header.set_data_dtype(np.uint8)
    nib.save(nib.Nifti1Image(nib.apply_orientation(labels, change), stored.affine, header), out)


ARMS = {"fedvox": fedvox_arm, "plain": plain_arm}


def measure(arm: str, model: Path, scan: Path, out: Path, threads: int) -> tuple[float, float]:
    """Runs one arm in a process of its own.

    Returns:
        Seconds of the whole process and its peak memory in GiB.
    """
    paths = ["--model", str(model), "--scan", str(scan), "--out", str(out)]
    command = [sys.executable, __file__, "--arm", arm, *paths, "--threads", str(threads)]
    start = time.monotonic()
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - start
    return seconds, int(result.stdout.splitlines()[-1]) / 2**20


def peak_kib() -> int:
    """Highest resident memory of this process; ``ru_maxrss`` would count the parent's too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def different_voxels(first: Path, second: Path) -> int:
    """Voxels whose labels differ."""
    import nibabel as nib
    import numpy as np

    one, other = (np.asarray(nib.load(path).dataobj) for path in (first, second))
    return int((one != other).sum())


def main() -> int:
    """Measures both arms in turn and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each arm (default 3)")
    parser.add_argument("--threads", type=int, help="CPU threads (default 2, quick 1)")
    parser.add_argument("--quick", action="store_true", help="smoke run: 96x96x80 voxels, once")
    for name in ("--arm", "--model", "--scan", "--out"):
        parser.add_argument(name, help=argparse.SUPPRESS)  # how it calls itself
    args = parser.parse_args()
    if args.arm:
        ARMS[args.arm](Path(args.model), Path(args.scan), Path(args.out), args.threads)
        print(peak_kib())
        return 0
    shape, spacing, patch, enlarge = ((512, 512, 300), 1.5, 96, 4)
    if args.quick:
        shape, spacing, patch, enlarge = ((96, 96, 80), 6.0, 32, 2)
    repeats = 1 if args.quick else args.repeats
    threads = args.threads or (1 if args.quick else 2)
    times: dict[str, list[float]] = {arm: [] for arm in ARMS}
    peaks: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        scan = work / "scan.nii.gz"
        write_scan(scan, shape, enlarge)
        model = write_network(work, spacing, patch)
        for _ in range(repeats):
            for arm in ARMS:
                out = work / f"{arm}.nii.gz"
                out.unlink(missing_ok=True)
                seconds, peak = measure(arm, model, scan, out, threads)
                times[arm].append(seconds)
                peaks[arm].append(peak)
                print(f"{arm}: {seconds:.1f} s, {peak:.2f} GiB", flush=True)
        different = different_voxels(*(work / f"{arm}.nii.gz" for arm in ARMS))
    ratios = [ours / plain for ours, plain in zip(times["fedvox"], times["plain"])]
    figures = {
        "time_ratio": round(statistics.median(ratios), 4),
        "memory_ratio": round(max(peaks["fedvox"]) / min(peaks["plain"]), 4),
        "different_voxels": different,
        "seconds": {arm: round(statistics.median(values), 2) for arm, values in times.items()},
        "peak_gib": {arm: round(max(values), 3) for arm, values in peaks.items()},
        "shape": list(shape),
        "repeats": repeats,
        "threads": threads,
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
