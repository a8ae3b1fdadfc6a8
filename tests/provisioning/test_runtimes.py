"""Container and cluster files: linters and schemas accept them, and they are locked down.

No engine runs here; what is tested is the text.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import fedvox

RUNTIMES = Path(__file__).parents[2] / "provisioning/runtimes"
COMPOSE = RUNTIMES / "compose.yml"
KUBERNETES = RUNTIMES / "kubernetes.yml"


def tool(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs a linter that pip installed beside this Python."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def deployment() -> dict[str, Any]:
    documents = list(yaml.safe_load_all(KUBERNETES.read_text()))
    return dict(documents[0]["spec"]["template"]["spec"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hadolint", ["Dockerfile"]),
        ("shellcheck", ["slurm.sh"]),
        ("check-jsonschema", ["--builtin-schema", "vendor.compose-spec", "compose.yml"]),
        ("kubernetes-validate", ["--strict", "kubernetes.yml"]),
    ],
)
def test_linters_and_schemas_accept(name, arguments):
    done = tool(name, *arguments[:-1], str(RUNTIMES / arguments[-1]))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "file", "old", "new"),
    [
        ("hadolint", [], "Dockerfile", ":3.11.14-slim-bookworm", ":latest"),
        ("shellcheck", [], "slurm.sh", '"$FEDVOX_WORK/cache"', "$FEDVOX_WORK/cache"),
        (
            "check-jsonschema",
            ["--builtin-schema", "vendor.compose-spec"],
            "compose.yml",
            "read_only: true",
            "readonly: true",
        ),
        ("kubernetes-validate", ["--strict"], "kubernetes.yml", "runAsNonRoot", "runAsNonroot"),
    ],
)
def test_linters_and_schemas_can_refuse(name, arguments, file, old, new, tmp_path):
    text = (RUNTIMES / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert tool(name, *arguments, str(tmp_path / file)).returncode != 0


def test_the_image_is_pinned_and_not_root():
    text = (RUNTIMES / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "requirements.txt" in text


def test_all_files_name_the_packages_version():
    for name in ("Dockerfile", "compose.yml", "kubernetes.yml", "slurm.sh", "k8s.yml", "slurm.yml"):
        text = (RUNTIMES / name).read_text()
        assert set(re.findall(r"fedvox:(\d[\w.]*)", text)) == {fedvox.__version__}, name


@pytest.mark.parametrize("name", ["site", "server"])
def test_compose_services_are_locked_down(name):
    service = services()[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert service["volumes"][0].endswith(":/kit:ro")


def test_a_site_sees_its_data_read_only_and_its_gpu_by_name():
    site = services()["site"]
    assert site["volumes"][1].endswith(":/data:ro")
    assert site["shm_size"] == "2gb"
    device = site["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["device_ids"] == ["${FEDVOX_GPU:-0}"]
    assert "ports" not in site


def test_a_new_named_volume_belongs_to_the_images_user():
    named = yaml.safe_load(COMPOSE.read_text())["volumes"]
    volumes = [v for name in ("site", "server") for v in services()[name]["volumes"]]
    mounted = {v.split(":")[1] for v in volumes if v.split(":")[0] in named}
    text = (RUNTIMES / "Dockerfile").read_text()
    owned = re.search(r"mkdir (/.*) \\\n +&& chown 10001:10001 (/.*)\n", text)
    assert owned is not None
    assert set(owned[1].split()) == set(owned[2].split()) == mounted == {"/workspace", "/cache"}
    assert owned.start() < text.index("USER 10001")


def test_what_is_killed_is_started_again_by_its_runtime():
    assert {services()[name]["restart"] for name in ("site", "server")} == {"unless-stopped"}
    assert deployment().get("restartPolicy", "Always") == "Always"
    assert "#SBATCH --requeue\n" in (RUNTIMES / "slurm.sh").read_text()


def test_nothing_mounts_a_docker_socket():
    for path in RUNTIMES.iterdir():
        assert "docker.sock" not in path.read_text()


def test_the_pod_is_locked_down():
    pod = deployment()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    read_only = {m["name"] for m in container["volumeMounts"] if m.get("readOnly")}
    assert read_only == {"kit", "data"}
    shm = next(volume for volume in pod["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"]["medium"] == "Memory"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_network_policy_lets_the_pod_reach_the_server_and_nobody_reach_the_pod():
    policy = list(yaml.safe_load_all(KUBERNETES.read_text()))[1]["spec"]
    assert policy["ingress"] == []
    project = yaml.safe_load((RUNTIMES.parent / "project.yml").read_text())
    server = next(entry for entry in project["participants"] if entry["type"] == "server")
    ports = {rule["port"] for entry in policy["egress"] for rule in entry["ports"]}
    assert ports == {53, server["fed_learn_port"]}
