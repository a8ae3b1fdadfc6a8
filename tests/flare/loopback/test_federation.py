"""A federation that cannot start says so at once and leaves nothing."""

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from fedvox.errors import ConfigError, FedVoxError
from fedvox.flare.loopback.federation import Federation
from fedvox.flare.loopback.kits import (
    Kits,
    free_ports,
    latest_kits,
    provision,
    read_project,
    require_free_ports,
    with_ports,
)

PROJECT = {
    "name": "p",
    "participants": [
        {"name": "localhost", "type": "server", "fed_learn_port": 1, "admin_port": 2},
        {"name": "site-1", "type": "client"},
        {"name": "a@b.org", "type": "admin", "role": "lead"},
    ],
}


@pytest.fixture
def kits(tmp_path):
    """Kits whose server only prints a line."""
    folder = tmp_path / "p" / "prod_00"
    for name in ("localhost", "site-1"):
        startup = folder / name / "startup"
        startup.mkdir(parents=True)
        (startup / "sub_start.sh").write_text("echo wrong certificate\n")
    return Kits(folder, with_ports(PROJECT, *free_ports(2)))


def test_a_server_that_does_not_start_is_reported_with_its_last_line(kits):
    federation = Federation(kits)
    with pytest.raises(FedVoxError, match="does not start: wrong certificate"), federation:
        federation.session("a@b.org")
    assert federation.processes() == []


def test_a_session_is_closed_also_where_a_site_does_not_join(kits, monkeypatch):
    federation, closed = Federation(kits), []
    session = SimpleNamespace(close=lambda: closed.append(True))
    monkeypatch.setattr(federation, "session", lambda user: session)
    monkeypatch.setattr(federation, "wait_for_sites", lambda session, tell: tell("site-1 joined"))
    told: list[str] = []
    with federation.joined("a@b.org", told.append) as found:
        assert (found, told, closed) == (session, ["site-1 joined"], [])
    assert closed == [True]
    with pytest.raises(ZeroDivisionError), federation.joined("a@b.org", lambda text: 1 / 0):
        pass
    assert closed == [True, True]


def test_missing_kits_are_one_line_with_a_remedy(kits):
    (kits.kit("site-1") / "startup/sub_start.sh").unlink()
    with pytest.raises(FedVoxError, match="no start-up kit; build the kits with make provision"):
        Federation(kits).__enter__()


def test_a_taken_port_is_named(kits):
    words = rf"port {kits.port} \(fed_learn_port\) is in use"
    taken = socket.create_server(("127.0.0.1", kits.port))
    with taken, pytest.raises(ConfigError, match=words):
        require_free_ports(kits.project)
    require_free_ports(kits.project)


def make_kits(work, number):
    for entry in PROJECT["participants"]:
        (work / "p" / f"prod_{number}" / entry["name"]).mkdir(parents=True)


def test_a_participant_without_a_kit_is_named_with_the_folder(tmp_path):
    make_kits(tmp_path, "00")
    (tmp_path / "p/prod_00/site-1").rmdir()
    with pytest.raises(ConfigError, match=r"p/prod_00: no kit of site-1, which the project file"):
        latest_kits(PROJECT, tmp_path)


def test_the_newest_kits_are_found(tmp_path):
    with pytest.raises(ConfigError, match="run make provision"):
        latest_kits(PROJECT, tmp_path)
    (tmp_path / "p/prod_00.bak").mkdir(parents=True)
    with pytest.raises(ConfigError, match="run make provision"):
        latest_kits(PROJECT, tmp_path)
    for number in ("00", "01"):
        make_kits(tmp_path, number)
    assert latest_kits(PROJECT, tmp_path).folder.name == "prod_01"
    for number in ("99", "100", "100.bak"):
        make_kits(tmp_path, number)
    assert latest_kits(PROJECT, tmp_path).folder.name == "prod_100"


@pytest.mark.parametrize("text", [None, "a: [", "name: x", "- 1"])
def test_a_project_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "project.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"project\.yml"):
        read_project(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: J\xfcrgen\nparticipants: []\n", "missing or no YAML"),
        ("participants: [{name: s, type: server}]\n", "the project has no name"),
        ("name: p\nparticipants: [a]\n", "participant 1 has no name and type"),
        ("name: p\nparticipants: []\n", "must hold one server"),
    ],
)
def test_a_project_file_of_another_form_is_refused(tmp_path, text, words):
    path = tmp_path / "project.yml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=words) as caught:
        read_project(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("port", [None, "8002", 70000])
def test_a_server_without_a_port_is_refused(port):
    with pytest.raises(ConfigError, match="server has no fed_learn_port"):
        require_free_ports(with_ports(PROJECT, port, 1))


def test_flares_reason_is_told_and_not_its_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # KitBuilder looks for its policies below the current folder
    project = read_project(Path(__file__).parents[3] / "poc/project.yml")
    words = "kits failed: provisioning/policies/server/resources.json is missing; provision in"
    with pytest.raises(ConfigError, match=words):
        provision(project, tmp_path / "kits")


def test_a_role_that_nobody_has_is_one_line(kits):
    assert kits.person("lead") == "a@b.org"
    with pytest.raises(ConfigError, match="no person with role member; add one"):
        kits.person("member")


def test_names_by_type_and_role(kits):
    assert kits.names("client") == ["site-1"]
    assert kits.names("admin", "lead") == ["a@b.org"]
    assert kits.names("admin", "member") == []
    assert kits.server == "localhost"


def test_nothing_is_left_even_if_somebody_killed_the_guard(kits):
    for name in ("localhost", "site-1"):
        (kits.kit(name) / "startup/sub_start.sh").write_text("sleep 60\n")
    with Federation(kits) as federation:
        assert len(federation.processes()) >= 2
        federation._guard.kill()
    assert federation.processes() == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["ukbonn.de"], "the site name 'ukbonn.de' is none that FLARE provisions; name it with"),
        (["Site-A", "site-a"], "the names 'Site-A' and 'site-a' differ in nothing but letter case"),
        (["global_best"], "the site name 'global_best' means something else"),
    ],
)
def test_a_project_with_a_site_name_that_cannot_be_used_is_refused(tmp_path, names, words):
    import yaml

    sites = [{"name": name, "type": "client"} for name in names]
    content = {**PROJECT, "participants": [*PROJECT["participants"], *sites]}
    path = tmp_path / "project.yml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=words):
        read_project(path)
