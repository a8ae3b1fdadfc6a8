"""Every command of the pages for operator, hospital IT, lead and member, executed over mTLS.

The pages are run as one story, with a tiny job on phantoms, each role in a folder and a home of
its own. Words in capitals such as ``JOB_ID`` stand for what an earlier command printed. A line that
ends in ``# refused`` must be refused for want of rights.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedvox.data.site.site_file import SITE_FILE
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.dry_run import write_phantom_sites
from fedvox.flare.loopback.guard import MARK, end_all, start_guard
from fedvox.flare.loopback.kits import Kits, flare_environment

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
STORY = [
    ("operator", "Build the kits"),
    ("operator", "Start the server"),
    ("hospital-it", "Check the kit"),
    ("hospital-it", "Name your data"),
    ("lead", "Write the job"),
    ("hospital-it", "Check the job"),
    ("hospital-it", "Check a job that carries code"),
    ("hospital-it", "Start"),
    ("operator", "Watch"),
    ("lead", "Log in"),
    ("lead", "Submit and watch"),
    ("lead", "If a job fails"),
    ("lead", "Take the results home"),
    ("lead", "The same in the admin console"),
    ("lead", "Go on after a stop"),
    ("lead", "Stop or remove a job"),
    ("member", "Log in"),
    ("member", "What you may see"),
    ("member", "What you may not do"),
    ("hospital-it", "From your desk"),
    ("operator", "Add a site"),
    ("operator", "Remove a site"),
    ("operator", "Renew a certificate"),
    ("hospital-it", "Stop"),
    ("operator", "Stop"),
]
PERSON = {
    "operator": "admin@coordinator.org",
    "hospital-it": "it@hospital-a.org",
    "lead": "lead@hospital-a.org",
    "member": "member@hospital-b.org",
}
BLOCK = re.compile(r"^```(bash|console|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
REFUSED = "# refused"
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
WORDS = {
    "FINGERPRINT": ("openssl x509", re.compile(r"ingerprint=(\S+)")),
    "JOB_ID": ("nvflare job submit", ID),
    "CLONE_ID": ("nvflare job clone", ID),
}
DENIED = re.compile(r"(?i)not authorized|authorization error|failed to shut down")
UNFINISHED = re.compile(r"^.*  (?:SUBMITTED|APPROVED|DISPATCHED|RUNNING) .*$", re.MULTILINE)
SECONDS = 900
STATUS = "nvflare system status --startup-kit lead@hospital-a.org"
LIST = "nvflare job list"


def sections(page: str) -> dict[str, list[tuple[str, str]]]:
    """Heading -> blocks of a page, as (language, text); headings without blocks are left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^## ", (ROOT / f"docs/{page}.md").read_text(), flags=re.M)[1:]:
        heading, _, body = part.partition("\n")
        blocks = BLOCK.findall(body)
        if any(language == "bash" for language, _ in blocks):
            found[heading.strip()] = blocks
    return found


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


COMMANDS = [
    (page, heading, line)
    for page, heading in STORY
    for language, text in sections(page)[heading]
    if language == "bash"
    for line in lines(text)
]


@dataclass
class World:
    """Folders of the roles, what has been printed, and how each command ended."""

    folder: Path
    environment: dict[str, str]
    calls: int = 0
    words: dict[str, str] = field(default_factory=dict)
    done: dict[tuple[str, str, str], "subprocess.CompletedProcess[str]"] = field(
        default_factory=dict
    )

    def home(self, role: str) -> Path:
        return self.folder / role

    def tell(self, page: str, heading: str) -> None:
        """Runs a section's commands."""
        blocks = sections(page)[heading]
        typed = "".join(text for language, text in blocks if language == "console")
        for language, text in blocks:
            if language == "yaml":
                add_participant(self.home(page) / "provisioning/project.yml", text)
            for line in lines(text) if language == "bash" else []:
                given = f"{PERSON[page]}\n{typed}" if "fl_admin.sh" in line else ""
                self.done[page, heading, line] = self.run(page, line, given)
                self.learn(line, self.done[page, heading, line].stdout)
                if "disable-client" in line:
                    wait_for(lambda: "site-3" not in self.run("lead", STATUS).stdout)

    def run(self, role: str, line: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        for word, meaning in self.words.items():
            line = line.replace(word, meaning)
        home = self.home(role)
        self.calls += 1
        output = self.folder / f"{self.calls}.txt"
        with output.open("w+") as stream:  # a file: a pipe would stay open in started processes
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=home,
                env={**self.environment, "HOME": str(home)},
                input=given,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
            )
            stream.seek(0)
            return subprocess.CompletedProcess(line, done.returncode, stream.read())

    def learn(self, line: str, output: str) -> None:
        """Takes the meaning of a word from what a command printed."""
        for word, (command, pattern) in WORDS.items():
            known = self.words.values()
            found = [text for text in pattern.findall(output) if text not in known]
            if line.startswith(command) and word not in self.words:
                assert found, output
                self.words[word] = found[0]


def add_participant(path: Path, text: str) -> None:
    project = yaml.safe_load(path.read_text())
    project["participants"] += yaml.safe_load(text)
    path.write_text(yaml.safe_dump(project, sort_keys=False))


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    project: Callable[[], dict[str, Any]],
    tiny_overrides: list[str],
    phantom_site: Callable[[str], Path],
) -> Iterator[World]:
    """The story, told to its end."""
    folder = tmp_path_factory.mktemp("roles")
    mark = folder.name + str(os.getpid())
    environment = flare_environment({MARK: mark})
    told = World(folder, environment)
    changes = [*tiny_overrides, 'phantom.modalities=["ct","mr","mr"]']
    for role in PERSON:
        told.home(role).mkdir()
    plan = project()
    (told.home("operator") / "provisioning").mkdir()
    (told.home("operator") / "provisioning/project.yml").write_text(yaml.safe_dump(plan))
    job = export_job(ROOT / "jobs/fedgin", told.home("lead") / "jobs", "pinned", changes)
    image = next((phantom_site("ct") / "images").iterdir())
    shutil.copy(image, told.home("lead") / "scan.nii.gz")
    guard = start_guard(mark)
    try:
        for page, heading in STORY:
            told.tell(page, heading)
            after(told, page, heading, Kits(kits_of(told), plan), job)
        yield told
    finally:
        end_all(mark)
        guard.stdin.close()
        guard.wait()


def kits_of(told: World) -> Path:
    return told.home("operator") / "runs/provision/fedvox/prod_00"


def after(told: World, page: str, heading: str, kits: Kits, job: Path) -> None:
    """What happens between the sections: kits and jobs are sent, other hospitals do the same."""
    step = (page, heading)
    if step == ("operator", "Build the kits"):
        send_kits(told, kits, job)
    elif step == ("lead", "Write the job"):
        received = told.home("hospital-it") / "received"
        shutil.copytree(told.home("lead") / "submit", received)
        shutil.copytree(told.home("lead") / "submit", told.home("member") / "submit")
        export_job(job, received, "carried", name="fedgin-carried")
    elif step == ("hospital-it", "Start"):
        for site in ("site-2", "site-3"):
            assert told.run("member", f"bash {site}/startup/start.sh").returncode == 0
        wait_for(lambda: all_joined(told))
    elif step == ("operator", "Start the server"):
        wait_for(lambda: listening(kits.port))
    elif step == ("member", "What you may not do"):
        for job_id in ID.findall("\n".join(UNFINISHED.findall(told.run("lead", LIST).stdout))):
            told.run("lead", f"nvflare job abort {job_id} --force")  # the console's job has begun
        wait_for(lambda: no_job_runs(told))  # FLARE restarts no site while one does
    elif step == ("hospital-it", "From your desk"):
        wait_for(lambda: all_joined(told))  # site-1 was started again, site-2 was not stopped


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send_kits(told: World, kits: Kits, job: Path) -> None:
    write_phantom_sites(kits, job, told.folder / "phantoms")
    for site in kits.names("client"):
        home = told.home("hospital-it" if site == "site-1" else "member")
        shutil.copytree(kits.kit(site), home / site)
        described = kits.kit(site) / "local" / SITE_FILE
        described.unlink()
    site = told.home("hospital-it") / "site-1/local" / SITE_FILE
    site.replace(told.home("hospital-it") / SITE_FILE)
    for role, person in PERSON.items():
        if role != "operator":
            shutil.copytree(kits.kit(person), told.home(role) / person)


def all_joined(told: World) -> bool:
    text = told.run("lead", STATUS).stdout
    return all(site in text for site in ("site-1", "site-2", "site-3"))


def no_job_runs(told: World) -> bool:
    listed = told.run("lead", LIST)
    return listed.returncode == 0 and not UNFINISHED.search(listed.stdout)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def test_the_story_tells_every_section_with_commands() -> None:
    found = {(page, heading) for page in PERSON for heading in sections(page)}
    assert found == set(STORY)


@pytest.mark.parametrize(("page", "heading", "line"), COMMANDS)
def test_every_command_does_what_the_page_says(world, page, heading, line):
    done = world.done[page, heading, line]
    if line.endswith(REFUSED):
        assert DENIED.search(done.stdout), done.stdout
    else:
        assert done.returncode == 0, done.stdout
        assert not DENIED.search(done.stdout), done.stdout
