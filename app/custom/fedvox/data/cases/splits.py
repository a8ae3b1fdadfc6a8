"""Which cases train, which choose the model, and which are reported."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fedvox.config import read_json
from fedvox.data.cases.case import Case
from fedvox.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")
NAMED = ("hash", "dataset", "test")
"""Rules with a name; any other is a file."""


def split_cases(cases: Sequence[Case], rule: str) -> dict[str, list[Case]]:
    """Assigns cases to train, val and test.

    Args:
        cases: all cases of a site.
        rule: ``hash``, ``dataset``, ``test`` (every case), or the path of a JSON file
            ``{"train": [ids], "val": [ids], "test": [ids], "allow_overlap": false}``; cases that a
            file does not list are left out.

    Raises:
        ConfigError: the split file is wrong.
        DataError: ``dataset`` was asked for and the data set has no split of its own.
    """
    if rule == "hash":
        return _by(cases, lambda case: hash_split(case.patient))
    if rule == "dataset":
        if any(case.split not in SPLITS for case in cases):
            raise DataError(
                "the data set has no split of its own; use 'split': \"hash\" or a split file"
            )
        return _by(cases, lambda case: str(case.split))
    if rule == "test":
        return _by(cases, lambda case: "test")
    return _from_file(cases, Path(rule))


def only_tests(rule: str) -> bool:
    """Whether a split says that its site does not train and only tests.

    That is ``test``, or a file in which ``test`` stands alone: a file with an empty ``train`` or
    ``val``, or a rule that happens to leave no case for training, does not say so.

    Raises:
        ConfigError: the split file cannot be read.
    """
    if rule in NAMED:
        return rule == "test"
    return set(_read(Path(rule))) & set(SPLITS) == {"test"}


def hash_split(patient: str) -> str:
    """70/10/20 by a hash of the patient, so that no patient is in two splits."""
    bucket = hash_bucket(patient)
    return "train" if bucket < 70 else "val" if bucket < 80 else "test"


def hash_bucket(patient: str) -> int:
    """A number from 0 to 99 that depends on the patient alone; readers cut parts of a set by it."""
    name = patient.encode(errors="surrogateescape")  # a file's name need not be UTF-8
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big") % 100


def _by(cases: Sequence[Case], rule: Callable[[Case], str]) -> dict[str, list[Case]]:
    result: dict[str, list[Case]] = {name: [] for name in SPLITS}
    for case in cases:
        result[rule(case)].append(case)
    return result


def _read(path: Path) -> dict[str, Any]:
    # Errors leave the site: they name the file without its folder, and neither keys nor cases.
    where = path.name
    if not path.exists():
        raise ConfigError(
            f"{where}: there is no such split file; 'split' is {', '.join(NAMED)} or a file that "
            "exists"
        )
    _refuse_folds(path, where)
    content = read_json(path, where)
    unknown = set(content) - {*SPLITS, "allow_overlap"}
    if unknown:
        raise ConfigError(
            f"{where}: unknown keys ({len(unknown)}); allowed: train, val, test, allow_overlap"
        )
    return content


def _from_file(cases: Sequence[Case], path: Path) -> dict[str, list[Case]]:
    where, content = path.name, _read(path)
    allow_overlap = content.get("allow_overlap", False)
    if not isinstance(allow_overlap, bool):
        raise ConfigError(f"{where}: 'allow_overlap' must be true or false; mend the file")
    by_id = {case.id: case for case in cases}
    result: dict[str, list[Case]] = {}
    for name in SPLITS:
        ids = _ids(content.get(name, []), name, where)
        absent = [place for place, case_id in enumerate(ids, 1) if case_id not in by_id]
        if absent:
            meant = sum(_bare(ids[place - 1]) in by_id for place in absent)
            remedy = "leave out folders and endings (.nii.gz, _0000)" if meant else "mend the list"
            raise ConfigError(
                f"{where}: {len(absent)} ids under '{name}' are not in the data set, the first at "
                f"place {absent[0]} of the list; {remedy}"
            )
        result[name] = [by_id[case_id] for case_id in ids]
    if not allow_overlap:
        _refuse_overlap(result, where)
    return result


def _refuse_folds(path: Path, where: str) -> None:
    """Names a list of folds, as nnU-Net's ``splits_final.json``."""
    try:
        is_list = path.read_text(encoding="utf-8-sig").lstrip().startswith("[")
    except (OSError, UnicodeDecodeError):
        return  # which read_json() says
    if is_list:
        raise ConfigError(
            f"{where}: it is a list, as of nnU-Net's folds; copy one of them, as "
            '{"train": [...], "val": [...]}, into a file of its own'
        )


def _bare(name: str) -> str:
    """A file's name as an identifier: without folder, ending and nnU-Net's channel."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return last.removesuffix(".gz").removesuffix(".nii").removesuffix("_0000")


def _ids(listed: object, name: str, where: str) -> list[str]:
    if not isinstance(listed, list) or not all(isinstance(case_id, str) for case_id in listed):
        raise ConfigError(
            f"{where}: '{name}' must be a list of case identifiers, each a text; mend the list"
        )
    repeated = len(listed) - len(set(listed))
    if repeated:
        raise ConfigError(f"{where}: '{name}' repeats {repeated} of its ids; list each once")
    return listed


def _refuse_overlap(split: dict[str, list[Case]], where: str) -> None:
    seen: dict[str, str] = {}
    for name, cases in split.items():
        for case in cases:
            if seen.setdefault(case.patient, name) != name:
                raise ConfigError(
                    f"{where}: one patient is under '{seen[case.patient]}' and '{name}'; list each "
                    'patient once, or set "allow_overlap": true for a dry run'
                )
