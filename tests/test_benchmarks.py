"""Every benchmark that needs no data of its own runs with --quick and ends in one JSON line."""

import importlib
import io
import json
import runpy
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

pytestmark = pytest.mark.system
FOLDER = Path(__file__).parents[1] / "benchmarks"
HELPERS = {"cells", "nnunet_step"}
KEYS = {
    "compression": {
        "bytes_saved",
        "dice_delta_points",
        "hd95_ratio",
        "codec_speedup",
        "setting",
        "curve",
    },
    "codec": {
        "codec_speedup",
        "peak_memory",
        "hostile",
        "hostile_refused",
        "hostile_harmless",
        "hostile_peak_mib",
        "bytes_0.1",
        "bound_0.1",
    },
    "compression_time": {
        "added_seconds_per_round",
        "training_step_seconds",
        "share",
        "step_seconds_at_2_percent",
        "server_step_seconds",
        "up_bytes",
    },
    "adaptive": {
        f"{arm}_dice"
        for arm in ("mean", "fedce", "fedpid", "modality_first", "adaptive", "equal_mean")
    }
    | {"equal_adaptive_dice", "equal_adaptive_points", "seeds", "ceiling_points"},
    "bad_updates": {
        f"{kind}{arm}_dice" for kind in ("", "plain_") for arm in ("clean", "scaled", "flipped")
    }
    | {"scaled_lost_points", "flipped_most_lost_points", "seeds"},
    "mixmodal": {
        f"{arm}{sets}_dice"
        for arm in ("zero_fill", "channels", "mixmfl", "local", "ensemble")
        for sets in ("", "_single")
    }
    | {"seeds"},
    "fault_corpus": {
        "faults",
        "caught",
        "remedies",
        "remedies_misleading",
        "bitflips",
        "bitflips_caught",
        "clean",
        "clean_refused",
    },
    "gin_speed": {"speedup", "step_share"},
    "gin_transfer": {"fedavg_mr_dice", "fedgin_mr_dice", "seeds"},
    "gpu_step": {"steps_per_second", "gin_share", "speed_against_monai"},
    "partial_labels": {"naive_dice", "partial_dice", "organs"},
    "privacy": {"arms", "seeds"},
    "predict_memory": {"time_ratio", "memory_ratio"},
    "preprocess": {
        "cold_ratio",
        "warm_ratio",
        "cold_rival",
        "warm_rival",
        "image_difference",
        "label_share",
        "wait_share",
    },
    "data_quality": {"good", "noisy", "wrong_labels", "small", "gap"},
    "federation_tax": {"ratio", "seconds_per_round_outside_training"},
}


@cache
def quick(name: str) -> dict[str, Any]:
    """The last line of a quick run, in this process, where PyTorch and MONAI are loaded already."""
    main = importlib.import_module(name).main
    output = io.StringIO()
    with redirect_stdout(output), patch.object(sys, "argv", [f"{name}.py", "--quick"]):
        assert not main()
    figures: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
    return figures


@pytest.fixture(autouse=True)
def one_thread_after() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_quick_run_ends_in_one_json_line_with_the_promised_keys(name: str) -> None:
    assert set(quick(name)) >= KEYS[name]


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)
)
def test_help_shows_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 0
    assert f"python benchmarks/{name}.py" in capsys.readouterr().out


def test_quick_fault_corpus_catches_what_it_plants_and_blames_no_clean_case() -> None:
    """Every sixth kind; ``tests/data/check/test_remedies.py`` tries them all."""
    figures = quick("fault_corpus")
    assert figures["caught"] == figures["faults"] == figures["remedies"] == 23
    assert figures["remedies_misleading"] == 0 and figures["sound_oddities"] == 8
    assert figures["leaks_caught"] == figures["leaks"] and figures["leaks_wrongly_blamed"] == 0
    assert figures["bitflips_caught"] + figures["bitflips_harmless"] == figures["bitflips"]
    assert figures["clean_refused"] == figures["clean_noticed"] == 0


def test_quick_soak_sees_every_process_of_the_federation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = quick("soak")
    assert 0.5 < figures["together_gib"] < 6 and figures["files_grown"] < 5
    growing = [(done, 1000 + 7 * done + done % 2, 9) for done in range(40) for _ in range(3)]
    assert importlib.import_module("soak").slope(growing, 40) == pytest.approx(7, abs=0.2)


@pytest.mark.parametrize(
    ("kept", "told"), [("kept", ["results: kept/x", "table"]), (None, ["table"])]
)
def test_what_a_run_prints_names_no_file_that_is_about_to_be_deleted(
    kept: str | None,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import real_learning

    work = Path("/tmp/w")
    tell = real_learning.teller(work, Path(kept) if kept else None)
    for line in (f"results: {real_learning.results_folder(work)}/x", "log: /tmp/w/log", "table"):
        tell(line)
    assert capsys.readouterr().out.splitlines() == told
