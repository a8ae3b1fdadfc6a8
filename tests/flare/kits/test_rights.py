"""A site's own policy may take rights away and add none."""

import copy
import json
from pathlib import Path

import pytest
from nvflare.fuel.sec.authz import Authorizer, AuthzContext, Person
from nvflare.security.security import COMMAND_CATEGORIES

from fedvox.flare.kits.rights import WIDEST, excess_rights, granted_roles

POLICIES = Path(__file__).parents[3] / "provisioning/policies"


def template(kind):
    return json.loads((POLICIES / kind / "authorization.json").read_text())


def without_none(rights):
    return {
        role: {name: who for name, who in own.items() if who != "none"}
        for role, own in rights.items()
    }


def without_byoc(rights):
    return {
        role: {name: who for name, who in own.items() if name != "byoc"}
        for role, own in rights.items()
    }


def test_the_table_is_what_the_templates_grant():
    assert without_none(template("server")["permissions"]) == WIDEST
    assert without_none(template("site")["permissions"]) == without_byoc(WIDEST)


@pytest.mark.parametrize("kind", ["site", "server"])
def test_a_template_grants_no_more_than_itself(kind):
    assert excess_rights(template(kind)) == []


def changed(role, right, value):
    policy = copy.deepcopy(template("site"))
    if right is None:
        policy["permissions"][role] = value
    else:
        policy["permissions"].setdefault(role, {})[right] = value
    return policy


@pytest.mark.parametrize(
    ("role", "right", "value", "clause"),
    [
        ("member", "submit_job", "any", "grants member submit_job any (template: none)"),
        ("org_admin", "submit_job", "o:site", "grants org_admin submit_job o:site (templ"),
        ("org_admin", "shell_commands", "any", "shell_commands any (template: o:site)"),
        ("org_admin", "shell_commands", ["o:site", "org : Other"], "o:site or o:other (temp"),
        ("org_admin", "shell_commands", "not o:other", "shell_commands any (template: o:site)"),
        ("project_admin", "shell_commands", "o:site", "project_admin shell_commands o:site"),
        ("lead", "manage_job", "o:submitter", "manage_job o:submitter (template: n:submitter)"),
        ("lead", "configure_site_log", "any", "configure_site_log any (template: o:site)"),
        ("lead", "Shutdown", "all", "shutdown any (template: o:site)"),
        ("member", "byoc", "any", "grants member byoc any (template: none)"),
        ("member", "new_right", "any", "grants member new_right any (template: none)"),
        ("auditor", "cat", "any", "grants auditor cat any (template: none)"),
        ("member", None, "any", "shell_commands any (template: none), submit_job any (temp"),
        ("project_admin", None, "any", "grants project_admin shell_commands any (templ"),
    ],
)
def test_a_right_beyond_the_template_is_named_with_its_role(role, right, value, clause):
    (found,) = excess_rights(changed(role, right, value))
    assert clause in found


def test_a_wide_category_does_not_list_its_commands():
    (found,) = excess_rights(changed("lead", "operate", "any"))
    assert found == "grants lead operate any (template: o:site)"


def test_a_role_written_twice_counts_as_flare_counts_it():
    policy = changed("member", None, "any")
    policy["permissions"]["Member"] = {"view": "any"}
    assert permits(policy, "member", "submit_job")
    assert "submit_job any" in excess_rights(policy)[0]


@pytest.mark.parametrize(
    ("role", "right", "value"),
    [
        ("lead", "submit_job", "none"),
        ("lead", "submit_job", "o:hospital-a"),
        ("lead", "byoc", "any"),
        ("org_admin", "manage_job", "n:submitter"),
        ("org_admin", "shell_commands", "no"),
        ("org_admin", "cat", "ORG : site"),
        ("project_admin", "operate", ["o:a", "not n:x", "none"]),
        ("member", None, {}),
        ("member", None, "none"),
        ("member", "view", "o:site"),
    ],
)
def test_fewer_rights_are_fine(role, right, value):
    assert excess_rights(changed(role, right, value)) == []


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"format_version": "1.0"},
        {"permissions": {}},
        {"format_version": "1.0", "permissions": [1]},
        {"format_version": "1.0", "permissions": {"lead": {"submit_job": "perhaps"}}},
        {"format_version": "1.0", "permissions": {"lead": {"submit_job": [1]}}},
        {"format_version": "1.0", "permissions": {"lead": 1}},
    ],
)
def test_a_policy_that_flare_cannot_read_is_named(policy):
    (found,) = excess_rights(policy)
    assert found.startswith("cannot be used (")


def permits(policy, role, right):
    """FLARE's own answer."""
    authorizer = Authorizer("hospital-a", COMMAND_CATEGORIES)
    assert not authorizer.load_policy(policy)
    return authorizer.authorize(AuthzContext(right, Person("x", "other", role)))[0]


@pytest.mark.parametrize(
    ("own", "roles"),
    [
        ({"byoc": "any"}, ["lead"]),
        ({"BYOC": "any"}, ["lead"]),
        ({" byoc ": "ANY"}, ["lead"]),
        ({"byoc": ["o:site"]}, ["lead"]),
        ({"byoc": "no"}, []),
        ({"byoc": "none"}, []),
        ({"view": "any"}, []),
        ("any", ["lead"]),
        ({"byoc": ["not n:x"]}, ["lead"]),
    ],
)
def test_roles_with_a_right_are_those_that_flare_sees(own, roles):
    policy = {"format_version": "1.0", "permissions": {"lead": own, "member": {"view": "any"}}}
    assert granted_roles(policy, "byoc") == roles
    authorizer = Authorizer("org", COMMAND_CATEGORIES)
    assert not authorizer.load_policy(policy)
    lead = AuthzContext("byoc", Person("jane", "org", "lead"))
    assert authorizer.authorize(lead)[0] is bool(roles)


def test_a_policy_that_flare_cannot_use_grants_nothing():
    assert granted_roles({"permissions": []}, "byoc") == []
    assert granted_roles({}, "byoc") == []
