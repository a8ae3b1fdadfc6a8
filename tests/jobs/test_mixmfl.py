"""Four sites with four sets of modalities under `nvflare simulator`: what each gets and sends, and
the in-process reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import job_settings
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.training.in_process import run_in_process

pytestmark = pytest.mark.system
JOBS = Path(__file__).parents[2] / "jobs"
HELD = {
    "site-1": {"t1", "t1ce", "t2", "flair"},
    "site-2": {"t1ce", "flair"},
    "site-3": {"t1"},
    "site-4": {"t2"},
}
TINY = [
    "data.spacing=[10,10,10]",
    "data.patch=[16,16,16]",
    "network.channels=[4,8]",
    "network.fewest_cases=2",
    'phantom.quality=["good","good","good","small"]',
    "phantom.train=4",
    "phantom.val=1",
    "phantom.test=1",
    "phantom.spacing_mm=10",
    "training.rounds=2",
    "training.steps=2",
    "evaluation.overlays=0",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_job(JOBS / "mixmfl", tmp_path_factory.mktemp("job"), "pinned", TINY, "mixed")


@pytest.fixture(scope="module")
def work(job: Path, recorded: Callable[[Path, int], Path]) -> Path:
    return recorded(job, 4)


def messages(wire: Path) -> dict[tuple[str, str], set[str]]:
    """(site, sent or got) -> names of tensors in its messages."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in wire.iterdir():
        for line in path.read_text().splitlines():
            place, way, _, *names = line.split()
            found.setdefault((place, way), set()).update(names)
    return found


def test_no_site_gets_or_sends_the_tailored_encoder_of_a_modality_that_it_lacks(
    job: Path, work: Path, wire: Path
) -> None:
    everything, found = set(weights_of(initial_model(job_settings(job)))), messages(wire)
    tailored = {name for name in everything if name.startswith("tailored.")}
    for site, held in HELD.items():
        own = {name for name in tailored if name.split(".")[1] in held}
        expected = own | (everything - tailored)
        assert found[site, "got"] & everything == expected
        assert found[site, "sent"] & everything == expected


def test_a_site_of_few_cases_tells_no_prototype(work: Path, wire: Path) -> None:
    """The small one has one training case, where two are asked for."""
    sent = {site: names for (site, way), names in messages(wire).items() if way == "sent"}
    told = {site for site in HELD if "prototypes" in sent[site]}
    assert told == {"site-1", "site-2", "site-3"}
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00002.safetensors")
    model = load_file(str(path))
    assert all(model[f"memory.{name}"].any() for name in HELD["site-1"])


def test_simulator_equals_the_in_process_reference(
    job: Path, work: Path, phantom_sites, tmp_path: Path
) -> None:
    settings = job_settings(job)
    reference = run_in_process(phantom_sites(settings, tuple(HELD)), settings, tmp_path / "run")
    (path,) = work.glob("server/simulate_job/fedvox_state/*/model_00002.safetensors")
    simulated = load_file(str(path))
    assert simulated.keys() == reference.last.keys()
    assert all(np.array_equal(simulated[n], array) for n, array in reference.last.items())


def test_the_table_has_every_subset_of_four(work: Path) -> None:
    text = (work / "server/simulate_job/fedvox/metrics.csv").read_text()
    sets = {line.split(",")[3] for line in text.splitlines()[1:]}
    assert len(sets) == 15
