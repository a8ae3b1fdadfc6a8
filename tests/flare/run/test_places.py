import json

import pytest
from nvflare.apis.fl_constant import FLContextKey

from fedvox.errors import ConfigError
from fedvox.flare.run.places import (
    is_simulator,
    load_job,
    results_dir,
    run_dir,
    run_id,
    state_dir,
)


def test_fresh_submission_never_resumes(tmp_path):
    assert run_id(tmp_path, "job-a", "") == "job-a"
    assert run_id(tmp_path, "job-b", "") == "job-b"
    assert list(tmp_path.iterdir()) == []


def test_clone_of_a_clone_belongs_to_the_first_run(tmp_path):
    assert run_id(tmp_path, "job-b", "job-a") == "job-a"
    assert run_id(tmp_path, "job-c", "job-b") == "job-a"
    assert run_id(tmp_path, "job-d", "job-c") == "job-a"
    assert run_id(tmp_path, "job-d", "job-c") == "job-a"


def test_the_run_of_a_job_is_known_without_its_parent(tmp_path):
    assert run_id(tmp_path, "job-b", "job-a") == "job-a"
    assert run_id(tmp_path, "job-b", "") == "job-a"


@pytest.mark.parametrize("parent", ["../../x", "a/b", "..", "a b"])
def test_only_an_id_leads_to_another_state(tmp_path, parent):
    with pytest.raises(ConfigError, match="names no job's id"):
        run_id(tmp_path, "job-b", parent)
    assert list(tmp_path.iterdir()) == []


def test_two_clones_of_one_job_share_its_run(tmp_path):
    assert run_id(tmp_path, "job-b", "job-a") == run_id(tmp_path, "job-c", "job-a") == "job-a"


def test_state_of_a_server_lies_in_its_workspace_under_the_run_and_its_name(server):
    fl_ctx = server.context()
    expected = server.root / "fedvox_state" / fl_ctx.get_job_id() / "server"
    assert state_dir(fl_ctx) == expected


def test_state_of_a_site_lies_in_its_cache(party, tmp_path):
    fl_ctx = party("site-1").context()
    expected = tmp_path / "cache" / fl_ctx.get_job_id() / "site-1"
    assert state_dir(fl_ctx, tmp_path / "cache") == expected


def test_state_of_a_clone_is_that_of_its_parent(server):
    fl_ctx = server.context(**{FLContextKey.JOB_META: {"cloned_from": "parent-job"}})
    assert state_dir(fl_ctx) == server.root / "fedvox_state" / "parent-job" / "server"


def test_parent_is_read_from_the_run_folder_where_the_context_has_no_meta(server):
    (server.run_dir / "meta.json").write_text(json.dumps({"cloned_from": "parent-job"}))
    assert state_dir(server.context()).parts[-2:] == ("parent-job", "server")


def test_state_under_the_simulator_lies_in_the_run_folder_even_with_a_cache(party, tmp_path):
    site = party("site-1", job_id="simulate_job")
    fl_ctx = site.context()
    assert state_dir(fl_ctx, tmp_path / "cache") == site.run_dir / "fedvox_state" / "site-1"


def test_process_name_of_a_simulator_server_is_cut_from_the_state_folder(party):
    server = party("simulator_server.simulate_job", job_id="simulate_job")
    assert state_dir(server.context()).name == "simulator_server"


def test_only_the_simulator_job_is_the_simulator(party):
    assert is_simulator(party("a", job_id="simulate_job").context())
    assert not is_simulator(party("b").context())


def test_results_lie_in_the_run_folder(server):
    fl_ctx = server.context()
    assert run_dir(fl_ctx) == server.run_dir
    assert results_dir(fl_ctx) == server.run_dir / "fedvox"


def test_job_without_settings_is_an_error_with_a_remedy(party):
    with pytest.raises(ConfigError, match=r"no app/config/training\.json; export it again"):
        load_job(party("server", job=None).context())


def test_wrong_settings_are_named_without_the_path_of_the_machine(party, tiny, tmp_path):
    tiny["training"]["epochs"] = 5
    with pytest.raises(ConfigError, match=r"training\.json: unknown key") as error:
        load_job(party("server", job=tiny).context())
    assert str(tmp_path) not in str(error.value)
