"""Speed of GIN against its plain grouped-convolution form, and its share of a training step.

The rival folds the batch into the groups of one 3D convolution per layer, as the published code
does, with kernels padded to 3x3x3 only where the samples' drawn sizes differ. Both sides get the
same draws, in turn, and must give the same outputs. A training step is forward, backward and
AdamW of a MONAI U-Net (16, 32, 64, 128, 256) with Dice + cross-entropy on the same patches.

Example:
    python benchmarks/gin_speed.py
    python benchmarks/gin_speed.py --quick
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch import Tensor
from torch.nn import functional as F

from fedvox.augment.gin import Gin, GinDraw, GinSettings, apply_gin, draw_gin
from fedvox.seeding import generator

SETTINGS = GinSettings()


@torch.no_grad()
def plain_gin(x: Tensor, draw: GinDraw) -> Tensor:
    """The rival: grouped 3D convolutions, one group per sample. ``x`` is ``(B, C, X, Y, Z)``."""
    features = x.reshape(1, -1, *x.shape[2:])
    for index in range(draw.settings.layers):
        weight, bias = draw.layer(index)
        if all(sizes[index] == 1 for sizes in draw.kernel_sizes):
            weight = weight[..., 1:2, 1:2, 1:2]
        features = F.conv3d(
            features,
            weight.flatten(0, 1),
            bias.flatten(),
            padding=weight.shape[-1] // 2,
            groups=len(x),
        )
        if index < draw.settings.layers - 1:
            features = F.leaky_relu_(features, draw.settings.slope)
    mixed = torch.lerp(x, features.view_as(x), draw.alpha.view(-1, 1, 1, 1, 1))
    scale = x.flatten(1).norm(dim=1) / (mixed.flatten(1).norm(dim=1) + 1e-5)
    return mixed * scale.view(-1, 1, 1, 1, 1)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(patch: int, draws: int, repeats: int) -> dict[str, float]:
    """Times both forms on the same draws, alternating; medians over repeats, mean over draws."""
    x = torch.rand(2, 1, patch, patch, patch, generator=generator("benchmark"))
    ours, rival, worst = [], [], 0.0
    for seed in range(-1, draws):
        draw = draw_gin(SETTINGS, 2, 1, 3, generator("benchmark", seed))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(repeats):
            times[0].append(seconds(lambda drawn=draw: apply_gin(x, drawn)))  # type: ignore[misc]
            times[1].append(seconds(lambda drawn=draw: plain_gin(x, drawn)))  # type: ignore[misc]
        if seed >= 0:  # the first draw only warms up
            ours.append(statistics.median(times[0]))
            rival.append(statistics.median(times[1]))
        worst = max(worst, float((apply_gin(x, draw) - plain_gin(x, draw)).abs().max()))
    gin = statistics.fmean(ours)
    print(f"GIN {1e3 * gin:.1f} ms, plain {1e3 * statistics.fmean(rival):.1f} ms per batch of 2")
    return {
        "speedup": statistics.fmean(rival) / gin,
        "gin_seconds": gin,
        "rival_seconds": statistics.fmean(rival),
        "largest_difference": worst,
    }


def step_share(patch: int, steps: int) -> dict[str, float]:
    """GIN's share of a step that contains it; drawing and applying counted, in turn with steps."""
    network = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=6,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
        norm="INSTANCE",
    )
    optimiser = torch.optim.AdamW(network.parameters())
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    source = generator("benchmark")
    x = torch.rand(2, 1, patch, patch, patch, generator=source)
    label = torch.randint(0, 6, x.shape, generator=source)
    gin = Gin(SETTINGS)

    def step() -> None:
        optimiser.zero_grad()
        criterion(network(x), label).backward()
        optimiser.step()

    step()
    gin_times, step_times = [], []
    for _ in range(steps):
        gin_times += [seconds(lambda: gin(x, source)) for _ in range(4)]
        step_times.append(seconds(step))
    # a mean, since the draws differ in cost; a median over steps, which do not
    spent, rest = statistics.fmean(gin_times), statistics.median(step_times)
    print(f"training step {rest:.2f} s without GIN; GIN {1e3 * spent:.1f} ms")
    return {"step_share": spent / (spent + rest), "step_seconds": rest}


def gpu_host_syncs(patch: int) -> int:
    """Runs GIN on a GPU where any wait of the host raises; 0 when none did, 1 otherwise."""
    x = torch.rand(2, 1, patch, patch, patch, generator=generator("benchmark")).cuda()
    gin, source = Gin(SETTINGS), generator("benchmark")
    gin(x, source)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(10):
            gin(x, source)
    except RuntimeError as error:
        print(f"the host waited for the GPU: {error}")
        return 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0


def main() -> None:
    """Reads the arguments, runs the measurements, prints one JSON object as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smoke run: small patch, few repeats")
    parser.add_argument("--patch", type=int, help="voxels along each side (default 96, quick 32)")
    parser.add_argument("--threads", type=int, help="CPU threads (default 2, quick 1)")
    arguments = parser.parse_args()
    patch = arguments.patch or (32 if arguments.quick else 96)
    threads = arguments.threads or (1 if arguments.quick else 2)
    torch.set_num_threads(threads)
    torch.manual_seed(0)  # the U-Net's initial weights
    print(
        f"{threads} threads on {platform.processor() or platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, "
        f"float32 2x1x{patch}^3"
    )
    result: dict[str, float] = compare(patch, *((4, 1) if arguments.quick else (32, 3)))
    result |= step_share(patch, 2 if arguments.quick else 7)
    if torch.cuda.is_available():
        result["gpu_host_syncs"] = gpu_host_syncs(patch)
    print(json.dumps({name: round(value, 6) for name, value in result.items()}))


if __name__ == "__main__":
    main()
