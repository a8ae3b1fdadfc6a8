"""What a job and FLARE's own process may do on a site's cluster: pods, mounts, Helm chart.

FLARE 2.9 reads ``local/study_runtime.yaml`` for each job that it starts. There a pod template gives
everything but image, command, name and resources of the job's container, which the launcher writes
over it; so GPU, CPU and memory come from ``launcher_spec`` of the job's ``meta.json``.
"""

import re
from pathlib import Path
from typing import Any

from fedvox.errors import ConfigError
from fedvox.files import write_text
from fedvox.flare.kits.prepared import K8S

STUDY = "default"
"""Jobs that name no study belong to it; others get no data."""
IMAGES, CACHE = f"/data/{STUDY}/images", f"/data/{STUDY}/cache"
"""Where FLARE mounts a data set of a study: ``/data/<study>/<data set>``."""
RUNTIME_FILE = "local/study_runtime.yaml"
USER = 10001
POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
JOB_LABEL = {"app.kubernetes.io/component": "fedvox-job"}
_TMP = {"name": "tmp", "mountPath": "/tmp"}
_TMP_VOLUME = {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}


def study_runtime(
    kind: str, runtime: str, image: str, workspace: str, data: str, cache: str
) -> dict[str, Any]:
    """Content of ``local/study_runtime.yaml``.

    Args:
        kind: ``client`` or ``server``.
        runtime: ``k8s`` or ``slurm``.
        image: the jobs' container image under Kubernetes.
        workspace: where FLARE mounts a job's workspace under Kubernetes.
        data: claim (Kubernetes) or folder (Slurm) of the images, mounted read-only.
        cache: claim or folder that jobs may write; at the server it holds a run's state.
    """
    own: dict[str, Any] = {}
    if kind == "client":
        own["datasets"] = {
            "images": {"type": "mount", "source": data, "mode": "ro"},
            "cache": {"type": "mount", "source": cache, "mode": "rw"},
        }
    if runtime == K8S:
        own["container"] = {"image": image}
        own["pod_template"] = pod_template(workspace, cache if kind == "server" else "")
    return {"format_version": 2, "studies": {STUDY: own}}


def pod_template(workspace: str, state: str = "") -> dict[str, Any]:
    """A job's pod: not root, no rights, nothing to write but mounts, no key of the cluster.

    Args:
        workspace: where FLARE mounts the job's workspace; the job starts there.
        state: claim for the server's ``fedvox_state``, so that a cloned job can go on.
    """
    mounts: list[dict[str, Any]] = [_TMP, {"name": "shm", "mountPath": "/dev/shm"}]
    volumes: list[dict[str, Any]] = [
        _TMP_VOLUME,
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]
    if state:
        mounts.append({"name": "state", "mountPath": f"{workspace}/fedvox_state"})
        volumes.append({"name": "state", "persistentVolumeClaim": {"claimName": state}})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": JOB_LABEL},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "workingDir": workspace,
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }


def write_study_runtime(kit: Path, content: dict[str, Any], runtime: str) -> None:
    """Writes the file and has FLARE read it.

    Raises:
        ConfigError: FLARE does not accept it, as with a relative folder under Slurm.
    """
    import yaml
    from nvflare.app_opt.job_launcher.study_runtime import load_study_runtime_file

    class Plain(yaml.SafeDumper):
        """Writes a list again where it is used twice, instead of a YAML alias."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    head = (
        "# Written by 'fedvox kit prepare'. FLARE mounts a data set at /data/<study>/<data set>.\n"
        "# Read for every job; keep the pod's and the container's securityContext.\n"
    )
    path = kit / RUNTIME_FILE
    write_text(path, head + yaml.dump(content, Dumper=Plain, sort_keys=False))
    try:
        load_study_runtime_file(str(path), launcher_mode=runtime)
    except ValueError as error:
        reason = str(error).replace(f"study runtime file '{path}': ", "")
        raise ConfigError(f"{RUNTIME_FILE}: {reason}") from None


# Line of FLARE's chart, where to put what. Each line must occur exactly once.
_CHART_EDITS = (
    (
        r"^          image: \{\{ include \"nvflare-(?:client|server)\.image\" \. \}\}\n",
        "after",
        """\
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
""",
    ),
    (
        r"^      volumes:\n",
        "after",
        "        - name: tmp\n          emptyDir: {sizeLimit: 1Gi}\n",
    ),
    (
        r"^          volumeMounts:\n",
        "after",
        "            - name: tmp\n              mountPath: /tmp\n",
    ),
    (r"^      volumes:\n", "before", "      enableServiceLinks: false\n"),
)


def harden_chart(kit: Path, kind: str, ports: list[int]) -> None:
    """Locks down FLARE's own pod in the chart and, at a site, the network of its jobs' pods.

    FLARE's template has no ``securityContext`` for the container; the pod's comes from the chart's
    values.

    Args:
        kit: the prepared kit.
        kind: ``client`` or ``server``.
        ports: ports of the federation's server and of the site's own FLARE process.

    Raises:
        ConfigError: FLARE's template is not the one that this function knows.
    """
    import yaml

    path = kit / f"helm_chart/templates/{kind}-deployment.yaml"
    values_path = kit / "helm_chart/values.yaml"
    if not path.is_file() or not values_path.is_file():
        raise ConfigError("FLARE wrote no helm_chart; this fedvox knows the chart of FLARE 2.9")
    text = path.read_text(encoding="utf-8")
    for pattern, where, addition in _CHART_EDITS:
        found = re.findall(pattern, text, re.MULTILINE)
        if len(found) != 1:
            raise ConfigError(
                f"helm_chart/templates/{path.name} is not that of FLARE 2.9: {len(found)} lines "
                f"match {pattern!r}; the pod cannot be locked down"
            )
        both = found[0] + addition if where == "after" else addition + found[0]
        text = text.replace(found[0], both)
    write_text(path, text)
    values = yaml.safe_load(values_path.read_text(encoding="utf-8"))
    values["securityContext"] = {**POD_SECURITY, **(values.get("securityContext") or {})}
    write_text(values_path, yaml.safe_dump(values, sort_keys=False))
    if kind == "client":
        write_text(path.with_name("network-policy.yaml"), _job_network(ports))


def _job_network(ports: list[int]) -> str:
    """Nothing reaches a job's pod; it reaches name servers, the server and FLARE's own pod."""
    import yaml

    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": '{{ include "nvflare-client.name" . }}-jobs'},
        "spec": {
            "podSelector": {"matchLabels": JOB_LABEL},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [
                {"ports": [{"port": 53, "protocol": name} for name in ("UDP", "TCP")]},
                {"ports": [{"port": port, "protocol": "TCP"} for port in ports]},
            ],
        },
    }
    return str(yaml.safe_dump(policy, sort_keys=False))
