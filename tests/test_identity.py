"""A user without a name in /etc/passwd, with a home that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMELESS = """
import pwd, sys
def unknown(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
"""


def run(code: str, home: str | None, tmp_path: Path, **more: str) -> "subprocess.CompletedProcess":
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "LC_ALL": "C", **more}
    if home is not None:
        environment["HOME"] = home
    return subprocess.run(
        [sys.executable, "-c", NAMELESS + code],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("home", ["/proc", None])
def test_a_user_without_name_and_home_predicts_and_draws(home, tmp_path, tiny_model, scan_of):
    words = ["predict", "--model", str(tiny_model), "--input", str(scan_of("ct"))]
    words += ["--modality", "ct", "--output", "o.nii.gz", "--preview", "o.png", "--threads", "1"]
    code = f"from fedvox.commands.main import main; sys.exit(main({words}))"
    before = {path.name for path in tmp_path.iterdir()}
    done = run(code, home, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert {path.name for path in tmp_path.iterdir()} - before == {"o.nii.gz", "o.png"}


TELL = (
    "import os, fedvox, getpass\n"
    "told = os.environ.get\n"
    "print(getpass.getuser(), told('MPLCONFIGDIR'), told('TORCHINDUCTOR_CACHE_DIR'))"
)


def test_what_the_user_set_stays(tmp_path):
    given = {"USER": "anna", "MPLCONFIGDIR": "/a", "TORCHINDUCTOR_CACHE_DIR": "/b"}
    done = run(TELL, "/proc", tmp_path, **given)
    assert done.stdout.split() == ["anna", "/a", "/b"], done.stderr


def test_with_a_home_nothing_lies_in_a_shared_temporary_folder(tmp_path):
    done = run(TELL, str(tmp_path), tmp_path)
    name, drawing, compiling = done.stdout.split()
    assert name == f"user-{os.getuid()}" and drawing == "None"
    assert compiling == str(tmp_path / ".cache/fedvox/inductor")
    assert list(tmp_path.iterdir()) == []


def test_a_child_takes_over_the_folder_and_only_its_maker_removes_it(tmp_path):
    child = [sys.executable, "-c", "import fedvox, os; print(os.environ['MPLCONFIGDIR'])"]
    code = (
        "import fedvox, os, subprocess\n"
        f"own, told = os.environ['MPLCONFIGDIR'], subprocess.check_output({child}, text=True)\n"
        "print(own == told.strip(), os.path.isdir(os.path.dirname(own)))"
    )
    assert run(code, "/proc", tmp_path).stdout.split() == ["True", "True"]
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_unicode_shows_a_sign_by_its_number(tmp_path):
    words = ["doctor", "--kit", "Größe–1"]
    code = f"from fedvox.commands.main import main; sys.exit(main({words}))"
    done = run(code, str(tmp_path), tmp_path, PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert r"Gr\xf6\xdfe\u20131: no such folder" in done.stderr
    words = ["--help"]
    code = f"import fedvox.commands.main as m\nm._EPILOG = 'caf\\xe9'\nsys.exit(m.main({words}))"
    done = run(code, str(tmp_path), tmp_path, PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, done.stderr) == (0, "") and r"caf\xe9" in done.stdout
