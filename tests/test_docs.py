"""The documentation against the code: settings, commands, records and links.

``python tests/test_docs.py`` writes the tables of settings in docs/ again.
"""

import dataclasses
import inspect
import json
import re
import shlex
import textwrap
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedvox.admission.registration import Registration
from fedvox.aggregation import AGGREGATORS
from fedvox.aggregation.claims import Claims
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.round import Round
from fedvox.aggregation.round_rules import RoundRules
from fedvox.aggregation.store import UpdateStore
from fedvox.aggregation.update import Update
from fedvox.aggregation.weighing import WEIGHING
from fedvox.aggregation.weighing.share import Share
from fedvox.augment import INTENSITY
from fedvox.commands.main import build_parser
from fedvox.config import build, to_mapping
from fedvox.data.organs import CANONICAL
from fedvox.data.samplers import SAMPLERS
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import UpdateRefused
from fedvox.flare.jobs.folder import find_job, list_jobs
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.job.settings import JobSettings
from fedvox.losses import LOSSES
from fedvox.metrics import METRICS
from fedvox.metrics.columns import names
from fedvox.metrics.table import MetricRow, SummaryRow
from fedvox.networks import NETWORKS

ROOT = Path(__file__).parents[1]
POLICIES = ROOT / "provisioning/policies"
DOCS = ROOT / "docs"
REGISTRIES = {
    "augmentation": INTENSITY,
    "data.sampler": SAMPLERS,
    "network": NETWORKS,
    "training.aggregator": AGGREGATORS,
    "training.client_weight": WEIGHING,
    "training.loss": LOSSES,
}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "provisioning/README.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "jobs").rglob("README.md")),
    *sorted((ROOT / "provisioning").glob("*.md")),
    ROOT / "poc/README.md",
]
TABLE = re.compile(r"(<!-- settings: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
ENTRY = re.compile(r"^    (\w[\w, ]*): (.*)$")
GUIDE = "CONTRIBUTING.md"


# ---- tables of settings, from the dataclasses ----

HEADER = "| key | default | allowed | meaning |\n|---|---|---|---|\n"


def described(cls: type) -> dict[str, str]:
    """Field -> what the class docstring says of it."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        if line and not line.startswith(" "):
            inside, names = line in ("Attributes:", "Args:"), []
            continue
        entry = ENTRY.match(line)
        if inside and entry:
            names = [name.strip() for name in entry[1].split(",")]
            found |= dict.fromkeys(names, entry[2])
        elif inside and line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: plain(text) for name, text in found.items()}


def plain(text: str) -> str:
    """reStructuredText to Markdown, as far as docstrings use it."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def table(cls: type, prefix: str = "") -> str:
    """A Markdown table of the fields of a settings class; sections follow as their own rows."""
    return HEADER + "".join(rows(cls, prefix))


def rows(cls: type, prefix: str) -> Iterator[str]:
    hints, texts = section_types(cls), described(cls)
    for field in dataclasses.fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        if field.metadata.get("registry"):
            yield from named_rows(field, f"{key}.")
        elif dataclasses.is_dataclass(hint):
            yield from rows(hint, f"{key}.")
        else:
            default = "required" if missing(field) else f"`{json.dumps(field.default)}`"
            yield f"| `{key}` | {default} | {allowed(field, hint)} | {texts[field.name]} |\n"


def section_types(cls: type) -> dict[str, object]:
    """Field -> its type; of a section that may be left out, that of the section."""
    hints = typing.get_type_hints(cls)
    for name, hint in hints.items():
        inner = [kind for kind in typing.get_args(hint) if dataclasses.is_dataclass(kind)]
        hints[name] = inner[0] if inner and type(None) in typing.get_args(hint) else hint
    return hints


def missing(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING


def allowed(field: dataclasses.Field, hint: object) -> str:
    if choices := field.metadata.get("choices"):
        return ", ".join(f"`{choice}`" for choice in choices)
    low, high = (field.metadata.get(name) for name in ("low", "high"))
    if low is not None:
        return f"{low:g} to {high:g}" if high is not None else f"from {low:g}"
    return "`true`, `false`" if hint is bool else "text"


RIGHTS = {
    "view": "look at jobs and sites",
    "submit_job": "submit a job",
    "clone_job": "clone a job",
    "manage_job": "abort or delete a job",
    "download_job": "download results",
    "operate": "stop, restart, enable or disable",
    "shell_commands": "read a site's files (`cat`, `tail`)",
    "byoc": "send code with a job",
}
SCOPES = {
    "any": "any",
    "none": "no",
    "o:site": "own site",
    "o:submitter": "of own organisation",
    "n:submitter": "own",
}


def rights() -> str:
    """Who may do what at a site, from its policy; what is not granted is refused."""
    policy = json.loads((POLICIES / "site/authorization.json").read_text())["permissions"]
    header = f"| | {' | '.join(policy)} |\n|{'---|' * (len(policy) + 1)}\n"
    return header + "".join(
        f"| {text} | {' | '.join(SCOPES[own.get(right, 'none')] for own in policy.values())} |\n"
        for right, text in RIGHTS.items()
    )


def named_rows(field: dataclasses.Field, prefix: str) -> Iterator[str]:
    """The keys of a section whose ``name`` brings its own: those of every name, each once.

    A key by which a further name means something else gets a row of its own.
    """
    registry = field.metadata["registry"]
    found: dict[str, str] = {}
    for name in (field.metadata["name"], *registry):
        for line in rows(registry.settings(name), prefix):
            key = line.split("|")[1]
            if key != f" `{prefix}name` " and found.get(key, line) != line:
                key, line = f"{key}(`{name}`) ", line.replace(key, f"{key}(`{name}`) ", 1)
            found.setdefault(key, line)
    names = ", ".join(f"`{name}`" for name in registry)
    key = f" `{prefix}name` "
    found[key] = found[key].replace("| text |", f"| {names} |")
    yield from found.values()


def section_table(field: dataclasses.Field, hint: type) -> str:
    """The keys of a section."""
    if field.metadata.get("registry") is None:
        return table(hint, f"{field.name}.")
    return HEADER + "".join(named_rows(field, f"{field.name}."))


def claims_table() -> str:
    """What a site claims of its update, and where it stands in ``rounds.jsonl``."""
    texts = described(Claims)
    return "| key | claim | meaning |\n|---|---|---|\n" + "".join(
        f"| {f'`contributors.{key}`' if (key := own.metadata['record']) else '-'} "
        f"| `{own.name}` | {texts[own.name]} |\n"
        for own in dataclasses.fields(Claims)
    )


def metrics_table() -> str:
    """Every metric with its column and its values where a mask is empty."""
    columns = ("metric", "column", "meaning", "better", "reference only", "prediction only")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(
        f"| {metric.title} | `{metric.column(name)}` | {plain(metric.meaning)} | {metric.better} "
        f"| {empty(metric.missed)} | {empty(metric.invented)} |\n"
        for name, metric in METRICS.items()
    )


def empty(value: float | str) -> str:
    """A metric's value of an empty mask."""
    if isinstance(value, str):
        return f"{value} of the image in mm"
    return "NaN" if value != value else f"{value:g}"


SECTIONS = {
    f"training.json/{field.name}": section_table(field, hint)
    for field in dataclasses.fields(JobSettings)
    if dataclasses.is_dataclass(hint := section_types(JobSettings)[field.name])
} | {
    "fedvox_site.json": table(SiteSettings),
    "rights": rights(),
    "claims": claims_table(),
    "metrics": metrics_table(),
    "structures": textwrap.fill(", ".join(CANONICAL), 100) + ".\n",
    "metrics.csv": f"```\n{','.join(names(MetricRow))}\n```\n",
    "summary.csv": f"```\n{','.join(names(SummaryRow))}\n```\n",
}


def renewed(text: str) -> str:
    """A page with its tables of settings as the code has them now."""
    return TABLE.sub(lambda m: f"{m[1]}{SECTIONS.get(m[2], m[3])}{m[4]}", text)


@pytest.mark.parametrize(
    "page",
    [
        "docs/researcher.md",
        "docs/hospital-it.md",
        "docs/operator.md",
        "docs/data.md",
        "provisioning/README.md",
    ],
)
def test_tables_are_those_of_the_code(page: str) -> None:
    text = (ROOT / page).read_text()
    assert TABLE.search(text)
    assert text == renewed(text), "run 'python tests/test_docs.py' and look at the difference"


def test_the_table_of_rights_names_every_right_and_differs_at_the_server_in_code_only() -> None:
    site, server = (
        json.loads((POLICIES / kind / "authorization.json").read_text())["permissions"]
        for kind in ("site", "server")
    )
    assert {right for own in site.values() for right in own} == set(RIGHTS)
    assert {
        right for role in site for right in site[role] if site[role][right] != server[role][right]
    } == {"byoc"}


def test_every_setting_is_documented_once_and_no_other() -> None:
    keys = re.findall(r"^\| `([\w.]+)` \|", section("researcher.md", "training.json/"), re.M)
    sections = {"data": {"organs": ["liver"]}, "compression": {}, "privacy": {}}
    sections["evaluation"] = {"site_models": False}
    job = build(JobSettings, {"name": "job", **sections}, "job")
    known = set(flat(to_mapping(job))) - {"encryption"} | {"encryption.scheme"}
    for place, registry in REGISTRIES.items():  # what other names bring
        for name in registry:
            known |= set(flat(to_mapping(registry.settings(name)()), f"{place}."))
    assert sorted({*keys, "name"}) == sorted(known)
    assert len(keys) == len(set(keys))
    keys = re.findall(r"^\| `(\w+)` \|", section("hospital-it.md", "fedvox_site.json"), re.M)
    assert keys == [field.name for field in dataclasses.fields(SiteSettings)]


def section(page: str, name: str) -> str:
    text = (DOCS / page).read_text()
    return "".join(body for _, found, body, _ in TABLE.findall(text) if found.startswith(name))


def flat(mapping: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        found += flat(value, f"{name}.") if isinstance(value, dict) else [name]
    return found


# ---- commands ----


def commands(program: str) -> list[tuple[str, str]]:
    """Every line of the pages' shell blocks that starts so, continuation lines joined."""
    wanted = program.split()
    found = []
    for page in PAGES:
        for language, body in FENCE.findall(page.read_text()):
            if language == "bash":
                lines = body.replace("\\\n", " ").splitlines()
                found += [(page.name, line.strip()) for line in lines]
    return [(page, line) for page, line in found if words_of(line)[: len(wanted)] == wanted]


def words_of(line: str) -> list[str]:
    """The words of a command, without comment and environment variables."""
    return [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]


@pytest.mark.parametrize(("page", "line"), commands("fedvox"))
def test_fedvox_commands_are_understood(page: str, line: str) -> None:
    words = [word.replace("JOB_ID", str(uuid.UUID(int=7))) for word in words_of(line)]
    args = build_parser().parse_args(words[1:])
    if hasattr(args, "set") and page != GUIDE:  # the guide's names exist once it was followed
        source = find_job(args.name, ROOT / "jobs") / "app/config/training.json"
        apply_overrides(json.loads(source.read_text()), args.set)


def test_jobs_and_make_targets_that_pages_name_exist() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    blocks = "\n".join(body for _, body in FENCE.findall(text))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([\w-]+)", blocks, re.M)) <= targets
    jobs = {*list_jobs(ROOT / "jobs"), "fedavg"}  # fedavg is made by 'make jobs'
    assert set(re.findall(r"\bjobs/(\w+)", blocks)) <= jobs
    scripts = set(re.findall(r"benchmarks/\w+\.py", text))
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


def test_simulator_commands_run_a_job_that_is_there_or_was_just_exported() -> None:
    exported = set()
    for _, line in commands("fedvox job export"):
        args = build_parser().parse_args(words_of(line)[1:])
        exported.add(f"{args.out}/{args.new_name or args.name}")
    known = {f"jobs/{name}" for name in (*list_jobs(ROOT / "jobs"), "fedavg")} | exported
    found = commands("nvflare simulator")
    assert len(found) >= 5
    assert [line for _, line in found if words_of(line)[2] not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_json_examples_are_json(page: Path) -> None:
    for language, body in FENCE.findall(page.read_text()):
        if language == "json":
            json.loads(body if body.lstrip().startswith("{") else f"{{{body}}}")


@pytest.mark.parametrize("name", ["data.md", "hospital-it.md", "operator.md", "researcher.md"])
def test_site_file_examples_are_accepted(name: str) -> None:
    for language, body in FENCE.findall((DOCS / name).read_text()):
        if language == "json" and '"dataset"' in body:
            build(SiteSettings, json.loads(body), name)


# ---- records, links ----


def test_fields_of_a_round_are_documented(tmp_path: Path) -> None:
    model = {"weight": np.zeros(2, np.float32)}
    current = Round(0, model, UpdateStore(tmp_path), RoundRules())
    current.weigh = lambda updates, *_: ({"a": Share(1.0, "why", {"number": 1.0})}, Memory())
    update = Update(site="a", round=0, arrays=model, cases=1, steps=1)
    current.accept(update)
    with pytest.raises(UpdateRefused):
        current.accept(update)
    _, record = current.close()
    text = (DOCS / "operator.md").read_text()
    documented = set(re.findall(r"^\| `([\w.]+)` \|", text, re.M))
    wanted = set(record)
    wanted |= {f"contributors.{name}" for name in record["contributors"][0]}
    wanted |= {f"refused.{name}" for name in record["refused"][0]}
    assert wanted <= documented


def test_everything_that_a_registration_carries_is_documented() -> None:
    text = (DOCS / "hospital-it.md").read_text()
    assert [f for f in Registration.__dataclass_fields__ if f"`{f}`" not in text] == []


def test_columns_of_the_tables_are_documented() -> None:
    text = (DOCS / "researcher.md").read_text()
    assert ",".join(names(MetricRow)) in text and ",".join(names(SummaryRow)) in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        places = [page.parent / target]
        if page.parent == DOCS / "jobs":  # copied to jobs/<name>/README.md by 'make jobs'
            places = [ROOT / "jobs/fedavg" / target]
        assert places[0].resolve().exists(), f"{page.name}: {target}"


# ---- Markdown tables ----


def broken_tables(text: str) -> list[str]:
    """Rows that GitHub would not show in a table: no rule below the head, or another width."""
    found, block = [], []
    for line in [*FENCE.sub("", text).splitlines(), ""]:
        if line.lstrip().startswith("|"):
            block.append(line)
            continue
        if block:
            widths = [len(re.findall(r"(?<!\\)\|", row)) for row in block]
            headed = len(block) > 2 and re.fullmatch(r"\s*\|(\s*:?-+:?\s*\|)+", block[1])
            found += [row for row, width in zip(block, widths) if not headed or width != widths[0]]
        block = []
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_table_has_a_head_and_rows_of_one_width(page: Path) -> None:
    assert broken_tables(page.read_text()) == []


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", 0),
        ("| a | b |\n|---|---|\n| 1 | `x\\|y` |\n", 0),
        ("| a | b |\n|---|---|\n| 1 | x|y |\n", 1),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\n| 3 | 4 |\n", 1),
        ("| a | b |\n|---|\n| 1 | 2 |\n", 1),
        ("```\n| a |\n```\n", 0),
    ],
)
def test_a_broken_table_is_found(text: str, rows: int) -> None:
    assert len(broken_tables(text)) == rows


def test_the_page_for_hospitals_names_the_ports_of_the_project() -> None:
    text = (DOCS / "hospital-it.md").read_text()
    project = (ROOT / "provisioning/project.yml").read_text()
    for name, port in re.findall(r"(fed_learn_port|admin_port): (\d+)", project):
        assert re.search(rf"\| the server, port {port} \(`{name}`", text), name


if __name__ == "__main__":
    for path in (*DOCS.rglob("*.md"), ROOT / "provisioning/README.md"):
        path.write_text(renewed(path.read_text()), encoding="utf-8")
