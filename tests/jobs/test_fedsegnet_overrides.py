"""What the README of fedsegnet prints for other data makes a job and a network, typed as it is."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from fedvox.commands.main import build_parser
from fedvox.flare.jobs.folder import job_settings
from fedvox.job.model import initial_model
from fedvox.job.settings import JobSettings
from fedvox.phantoms.find_body import body_named

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
OTHERS = {
    "swin-brats": (4, 4),
    "swin-lits": (1, 3),
    "swin-acdc": (1, 4),
    "swin-abdomen": (1, 7),
    "swin-heart": (1, 8),
}
"""Name of the copy -> input channels and classes of its network."""


def documented() -> dict[str, list[str]]:
    """Name of the copy -> words of the command that writes it."""
    text = (ROOT / "jobs/fedsegnet/README.md").read_text()
    lines = [
        shlex.split(line)
        for body in FENCE.findall(text)
        for line in body.replace("\\\n", " ").splitlines()
    ]
    exports = [words for words in lines if words[:3] == ["fedvox", "job", "export"]]
    return {words[words.index("--name") + 1]: words for words in exports}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that types a documented command in an empty folder, and reads the job."""
    monkeypatch.chdir(tmp_path)

    def export(name: str) -> JobSettings:
        args = build_parser().parse_args(documented()[name][1:])
        assert args.run(args) == 0
        return job_settings(tmp_path / "mine" / name)

    return export


def test_every_data_set_that_the_issue_names_has_its_override() -> None:
    assert set(documented()) == set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_a_documented_override_makes_a_network_that_takes_its_patches(name, exported) -> None:
    job = exported(name)
    channels, classes = OTHERS[name]
    network = initial_model(job).to("meta")  # shapes only from here: no memory, no time
    logits = network(torch.empty(1, channels, *job.data.patch, device="meta"))
    assert logits.shape == (1, classes, *job.data.patch)


@pytest.mark.parametrize("name", ["swin-abdomen", "swin-heart"])
def test_phantom_overrides_train_what_their_phantoms_hold(name, exported) -> None:
    job = exported(name)
    body = body_named(job.phantom.body)
    assert body.name == name.removeprefix("swin-")
    assert set(job.data.organs) == set(body.organs)
    assert set(job.phantom.modalities) == set(job.data.modalities) == {"ct", "mr"}
