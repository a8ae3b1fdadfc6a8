"""`secure_run.py` refuses in one line, before it starts or deletes anything."""

from collections.abc import Callable

import pytest


@pytest.fixture
def refusal(call_script, tmp_path, monkeypatch) -> Callable[..., str]:
    """A function from arguments to the last word of a run that must fail."""

    def run(*arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        code, _, said = call_script("provisioning/secure_run.py", *arguments)
        assert code == 1
        assert said.count("\n") == 1, said
        return said

    return run


@pytest.mark.parametrize("out", ["runs/o", "/", "."])
def test_no_folder_of_somebody_else_is_deleted(tmp_path, refusal, out):
    own = tmp_path / "runs/o-console"
    own.mkdir(parents=True)
    (own / "thesis.tex").touch()
    error = refusal("--out", out)
    assert "holds other files than a run's" in error or "would be replaced whole" in error
    assert (own / "thesis.tex").is_file()
    assert not (tmp_path / "runs/.work").exists()


SERVER = "{name: s, type: server, fed_learn_port: 48102, admin_port: 48103}"


@pytest.fixture
def refusal_of_project(tmp_path, refusal) -> Callable[..., str]:
    """What is said about a project with the server and these people, and kits of these names."""

    def run(people: list[str], kits: str, *more: str) -> str:
        participants = ", ".join([SERVER, *people])
        (tmp_path / "p.yml").write_text(f"name: p\nparticipants: [{participants}]\n")
        for name in kits:
            (tmp_path / "kits/p/prod_00" / name).mkdir(parents=True)
        return refusal("--project", "p.yml", "--kits", "kits", *more)

    return run


def test_a_project_without_a_lead_is_refused(refusal_of_project):
    assert "no person with role lead; add one" in refusal_of_project([], "s")


def test_another_number_of_modalities_than_sites_is_refused(refusal_of_project):
    people = ["{name: l, type: admin, role: lead}", "{name: a, type: client}"]
    people += ["{name: b, type: client}"]
    error = refusal_of_project(people, "slab", "--sites", "ct")
    assert "--sites names 1 modalities, the project has 2 sites" in error


def test_a_site_without_a_kit_is_named_before_anything_starts(tmp_path, refusal_of_project):
    people = ["{name: l, type: admin, role: lead}", "{name: new, type: client}"]
    error = refusal_of_project(people, "sl")
    assert "kits/p/prod_00: no kit of new, which the project file names" in error
    assert not (tmp_path / "runs/.work").exists()
