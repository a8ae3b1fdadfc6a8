import json
import shutil
from pathlib import Path

import pytest

from fedvox.errors import ConfigError
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.folder import CLIENT, SERVER

JOBS = Path(__file__).parents[3] / "jobs"


@pytest.mark.parametrize(
    ("file", "place", "setting", "words"),
    [
        (SERVER, "task_data_filters", "training.personal=model.0.conv.*", "OwnPart"),
        (SERVER, "task_data_filters", "compression.block=512", "SendModel"),
        (CLIENT, "task_data_filters", "compression.block=512", "ReceiveModel"),
        (CLIENT, "task_result_filters", "compression.block=512", "SendUpdate"),
    ],
)
def test_a_setting_without_its_filter_is_refused_by_name(tmp_path, file, place, setting, words):
    source = tmp_path / "fedgin"
    shutil.copytree(JOBS / "fedgin", source)
    config = json.loads((source / file).read_text())
    (source / file).write_text(json.dumps(config | {place: []}))
    reason = rf"'{setting.partition('.')[0]}.*{words} under {place}; copy that block"
    with pytest.raises(ConfigError, match=reason):
        export_job(source, tmp_path / "out", overrides=[setting])
    assert not list((tmp_path / "out").glob("*"))
    export_job(source, tmp_path / "out")


def test_a_job_of_the_repository_takes_the_section(tmp_path):
    job = export_job(JOBS / "brats", tmp_path, overrides=["compression.up.keep=0.05"])
    settings = json.loads((job / "app/config/training.json").read_text())
    assert settings["compression"] == {"up": {"keep": 0.05}}
