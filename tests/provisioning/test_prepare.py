"""Kits prepared for Kubernetes and Slurm: policy kept, sealed, locked down, and nothing invented.

No cluster runs here; charts are rendered and checked as text.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nvflare.tool.deploy.k8s_stage import _find_k8s_launcher

from fedvox.commands.main import main
from fedvox.doctor.kit import check_seal, open_kit
from fedvox.doctor.policies import check_policies
from fedvox.errors import ConfigError
from fedvox.finding import PASS, WARN
from fedvox.flare.kit_guard import check_kit
from fedvox.flare.kits.cluster import harden_chart

RUNTIMES = Path(__file__).parents[2] / "provisioning/runtimes"
PREPARED = [("k8s", "site"), ("k8s", "server"), ("slurm", "site")]


def tool(name: str, *arguments: str) -> str:
    """Runs a program that pip installed beside this Python; returns its output."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered(chart: Path, folder: Path) -> list[dict[str, Any]]:
    """The chart's manifests as Helm renders them after `deploy k8s stage`, valid for Kubernetes."""
    tool("helm", "lint", "--strict", str(chart))
    path = folder / "rendered.yml"
    staged = "workspaceConfig.local.configMapName=local,workspaceConfig.startup.secretName=startup"
    path.write_text(tool("helm", "template", "fedvox", str(chart), "--set", staged))
    tool("kubernetes-validate", "--strict", str(path))
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def resources(kit: Path) -> dict[str, Any]:
    return dict(json.loads((kit / "local/resources.json").read_text()))


def by_id(content: dict[str, Any]) -> dict[str, Any]:
    return {entry["id"]: entry for entry in content["components"]}


@pytest.mark.parametrize(("runtime", "kind"), PREPARED)
def test_only_the_components_that_start_jobs_are_exchanged(prepared, clean_kits, runtime, kind):
    kit = prepared(runtime, kind)
    before, after = resources(clean_kits.kit(kit.name)), resources(kit)
    old, new = by_id(before), by_id(after)
    exchanged = {"process_launcher", "resource_manager", "resource_consumer"}
    assert set(new) == (set(old) - exchanged) | {"resource_manager", f"{runtime}_launcher"}
    assert all(new[name] == old[name] for name in set(old) - exchanged)
    assert "passthrough" in new["resource_manager"]["path"]
    del before["components"], after["components"]
    assert after == before
    assert after["class_list_enforcement_mode"] == "enforce"
    assert "kit_guard" in new
    assert (kit / "local/resources.json.default").read_text() == (
        kit / "local/resources.json"
    ).read_text()


@pytest.mark.parametrize("kind", ["site", "server"])
def test_flare_finds_its_launcher_when_it_stages_the_kit(prepared, kind):
    found = _find_k8s_launcher(prepared("k8s", kind))
    assert found is not None
    assert found["args"]["namespace"] == "fedvox"


@pytest.mark.parametrize(("runtime", "kind"), PREPARED)
def test_the_other_policies_are_the_kits(prepared, clean_kits, runtime, kind):
    kit = prepared(runtime, kind)
    names = ["authorization.json", "log_config.json"] + ["privacy.json"] * (kind == "site")
    for name in names:
        own = clean_kits.kit(kit.name) / "local" / name
        assert (kit / "local" / name).read_bytes() == own.read_bytes()


@pytest.mark.parametrize(("runtime", "kind"), PREPARED)
def test_doctor_says_that_scripts_and_chart_are_the_sites_own(prepared, runtime, kind):
    kit = open_kit(prepared(runtime, kind))
    seal = check_seal(kit)
    assert seal.status == WARN
    assert f"prepared for {runtime}" in seal.message
    assert ("start_slurm.sh" if runtime == "slurm" else "helm_chart") in seal.message
    assert "fedvox kit prepare" in seal.remedy
    assert check_policies(kit).status == PASS


def test_doctor_has_no_fail_for_kit_and_policies(prepared, capsys):
    main(["doctor", "--kit", str(prepared("k8s", "server")), "--json"])
    findings = {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    statuses = {name: findings[name]["status"] for name in ("kit", "ca", "policies")}
    assert statuses == {"kit": "WARN", "ca": "PASS", "policies": "PASS"}


@pytest.mark.parametrize(
    ("runtime", "name", "what"),
    [
        ("k8s", "client.crt", "changed"),
        ("k8s", "fed_client.json", "changed"),
        ("k8s", "rootCA.pem", "changed"),
        ("slurm", "client.key", "changed"),
        ("slurm", "sub_start.sh", "changed"),
        ("slurm", "start_slurm.sh", "changed"),
        ("slurm", "parent.slurm", "changed"),
        ("k8s", "start.sh", "added"),
        ("slurm", "more.sh", "added"),
    ],
)
def test_a_changed_byte_or_an_added_file_is_refused(prepared, copy, runtime, name, what):
    kit = copy(prepared(runtime, "site"))
    path = kit / "startup" / name
    content = bytearray(path.read_bytes() if path.is_file() else b"sleep 1\n")
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"startup/{re.escape(name)}: {what}"):
        check_kit(kit)


def test_a_missing_script_is_refused(prepared, copy):
    kit = copy(prepared("slurm", "site"))
    (kit / "startup/start_slurm.sh").unlink()
    with pytest.raises(ConfigError, match=r"startup/start_slurm\.sh: missing"):
        check_kit(kit)


def test_without_its_mark_a_prepared_kit_is_refused(prepared, copy):
    kit = copy(prepared("slurm", "site"))
    (kit / "local/prepared.json").unlink()
    with pytest.raises(ConfigError, match=r"MANIFEST\.sha256 is missing"):
        check_kit(kit)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ({"runtime": "slurm", "scripts": {"startup/rc.sh": "0" * 64}}, "names startup/rc.sh"),
        ({"runtime": "k8s", "scripts": {"startup/start_slurm.sh": "0" * 64}}, "never adds"),
        ({"runtime": "docker", "scripts": {}}, "is damaged"),
        ([], "is damaged"),
    ],
)
def test_a_mark_cannot_excuse_more_than_flare_changes(prepared, copy, mark, words):
    kit = copy(prepared("slurm", "site"))
    (kit / "local/prepared.json").write_text(json.dumps(mark))
    with pytest.raises(ConfigError, match=words):
        check_kit(kit)


def test_a_mark_put_into_a_kit_on_its_way_does_not_look_like_the_operators(clean_kits, copy):
    """Whoever can change a kit can leave the mark; the owner's doctor must then say so."""
    kit = copy(clean_kits.kit("site-1"))
    assert check_seal(open_kit(kit)).status == PASS
    for name in ("MANIFEST.sha256", "MANIFEST.sha256.sig"):
        (kit / name).rename(kit / "local" / name)
    for name in ("start.sh", "sub_start.sh", "stop_fl.sh"):
        (kit / "startup" / name).unlink()
    (kit / "local/prepared.json").write_text(json.dumps({"runtime": "k8s", "scripts": {}}))
    finding = check_seal(open_kit(kit))
    assert finding.status == WARN
    assert "a kit that arrived like this is not the operator's" in finding.remedy


def test_the_manifest_must_still_be_signed(prepared, copy):
    kit = copy(prepared("k8s", "site"))
    path = kit / "local/MANIFEST.sha256"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    with pytest.raises(ConfigError, match="not signed by the project's root CA"):
        check_kit(kit)


@pytest.mark.parametrize("kind", ["site", "server"])
def test_flares_own_pod_is_locked_down(prepared, tmp_path, kind):
    documents = rendered(prepared("k8s", kind) / "helm_chart", tmp_path)
    pod = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    container = pod["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    workspace = "/var/tmp/nvflare/workspace"
    assert {m["mountPath"]: m.get("readOnly", False) for m in container["volumeMounts"]} == {
        "/tmp": False,
        workspace: False,
        f"{workspace}/local": True,
        f"{workspace}/startup": True,
    }
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def test_a_jobs_pod_reaches_names_server_and_flares_pod_only(prepared, clean_kits, tmp_path):
    documents = rendered(prepared("k8s", "site") / "helm_chart", tmp_path)
    policy = next(d for d in documents if d["kind"] == "NetworkPolicy")["spec"]
    assert policy["ingress"] == []
    ports = {rule["port"] for entry in policy["egress"] for rule in entry["ports"]}
    assert ports == {53, clean_kits.port, 8102}
    runtime = yaml.safe_load((prepared("k8s", "site") / "local/study_runtime.yaml").read_text())
    labels = runtime["studies"]["default"]["pod_template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels


def test_another_chart_than_flares_is_refused(prepared, copy):
    kit = copy(prepared("k8s", "site"))
    path = kit / "helm_chart/templates/client-deployment.yaml"
    path.write_text(path.read_text().replace("          volumeMounts:\n", "          mounts:\n"))
    with pytest.raises(
        ConfigError, match=r"is not that of FLARE 2\.9: 0 lines match .*volumeMounts"
    ):
        harden_chart(kit, "client", [8002])


def test_start_scripts_for_slurm_pass_shellcheck(prepared):
    startup = prepared("slurm", "site") / "startup"
    for name in ("start_slurm.sh", "parent.slurm"):
        tool("shellcheck", "--exclude", "SC1091", str(startup / name))  # sources a site's venv
    assert (startup / "start_slurm.sh").stat().st_mode & 0o777 == 0o700


def test_a_prepared_kit_is_its_owners_and_holds_no_job_run(clean_kits, copy, tmp_path):
    kit = copy(clean_kits.kit("site-1"))
    (kit / "0b5c3f1e-run").mkdir()
    out = tmp_path / "out"
    config = str(RUNTIMES / "k8s.yml")
    assert main(["kit", "prepare", str(kit), "--config", config, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"startup", "local", "helm_chart"}
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in tmp_path.iterdir()} == {"kit", "out"}


def test_a_cache_in_local_is_not_copied_and_what_the_site_wrote_is(clean_kits, copy, tmp_path):
    kit = copy(clean_kits.kit("site-1"))
    own = {"fedvox_site.json": '{"cache": "cache"}', "notes.txt": "x"}
    cached = ("cache/prepared/a.safetensors", "cache/site_key", "site_key", "quarantine.json")
    for name, text in (own | dict.fromkeys(cached, "secret")).items():
        (kit / "local" / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / "local" / name).write_text(text)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.nii").write_text("secret")
    (kit / "local/linked").symlink_to(tmp_path / "images")
    out = tmp_path / "out"
    config = str(RUNTIMES / "k8s.yml")
    assert main(["kit", "prepare", str(kit), "--config", config, "--out", str(out)]) == 0
    files = [path for path in out.rglob("*") if path.is_file()]
    assert files and not [path for path in files if path.read_bytes() == b"secret"]
    assert all((out / "local" / name).read_text() == text for name, text in own.items())
