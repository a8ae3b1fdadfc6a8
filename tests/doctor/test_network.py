"""`fedvox doctor` about the server's own ports, and about kits of people."""

import json
import shutil
import socket

import pytest

from fedvox.commands.main import main
from fedvox.doctor.kit import open_kit
from fedvox.doctor.network import check_port
from fedvox.doctor.run_check import run_check

LEAD = "lead@hospital-a.org"


@pytest.fixture
def server_kit(kits):
    return open_kit(kits.kit(kits.server))


def test_a_server_needs_both_ports(server_kit):
    finding = check_port(server_kit)
    (_, port), (_, admin) = server_kit.targets
    assert finding.status == "PASS"
    assert finding.message == f"port {port} is free, port {admin} is free"


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_that_another_program_holds_is_a_failure(server_kit, which, monkeypatch):
    monkeypatch.setattr("fedvox.doctor.network.OWN", 0.5)  # it never answers
    _, port = server_kit.targets[which]
    with socket.create_server(("", port)) as other:
        other.settimeout(0)
        finding = check_port(server_kit)
    assert finding.status == "FAIL"
    assert f"port {port} cannot be used" in finding.message


def test_our_own_running_server_is_no_failure(server_kit, server):
    finding = check_port(server_kit)
    assert finding.status == "PASS"
    assert f"this project's server answers on port {server_kit.target[1]}" in finding.message


@pytest.fixture
def person(kits, tmp_path):
    """The lead's kit; the stand-in server holds only the sites' port."""
    folder = shutil.copytree(kits.kit(LEAD), tmp_path / LEAD)
    path = folder / "startup/fed_admin.json"
    config = json.loads(path.read_text())
    config["admin"]["port"] = kits.port
    path.write_text(json.dumps(config))
    return folder


@pytest.fixture
def examined(capsys):
    """A function from a kit to exit code and finding by check."""

    def run(kit, *more):
        code = main(["doctor", "--kit", str(kit), *more, "--json"])
        return code, {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}

    return run


def test_a_persons_kit_is_checked_without_the_machine_that_trains(kits, examined):
    code, findings = examined(kits.kit(LEAD))
    checks = {
        "clock",
        "python",
        "versions",
        "kit",
        "ca",
        "certificate",
        "permissions",
        "dns",
        "port",
    }
    assert set(findings) == checks
    assert {name for name, f in findings.items() if f["status"] != "PASS"} == {"port"}
    admin_port = open_kit(kits.kit(kits.server)).targets[1][1]
    assert (code, f"localhost:{admin_port} does not" in findings["port"]["message"]) == (1, True)


def test_a_persons_kit_speaks_to_the_server_with_its_certificate(person, server, examined):
    _, findings = examined(person)
    assert findings["port"]["status"] == "PASS"
    assert findings["kit"]["message"].count("startup/fed_admin.json: changed") == 1


def test_a_persons_key_must_be_private(person, examined):
    (person / "startup/client.key").chmod(0o640)
    assert "startup/client.key can be read" in examined(person)[1]["permissions"]["message"]


def test_a_job_is_not_compared_with_the_policies_that_a_person_does_not_have(
    kits, tiny_job, examined
):
    _, findings = examined(kits.kit(LEAD), "--job", str(tiny_job))
    assert findings["versions"]["status"] == "PASS"
    assert "allow-list" not in findings


@pytest.mark.parametrize("name", ["rootCA.pem", "client.crt", "client.key"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("x")])
def test_a_damaged_kit_is_not_the_networks_fault(kits, tmp_path, name, damage):
    folder = shutil.copytree(kits.kit("site-1"), tmp_path / "kit")
    damage(folder / "startup" / name)
    kit = open_kit(folder)
    finding = run_check("port", lambda: check_port(kit))
    assert finding.status == "FAIL"
    assert finding.message.startswith("not tried: ") and name in finding.message
    assert finding.remedy == "unpack the kit afresh"
