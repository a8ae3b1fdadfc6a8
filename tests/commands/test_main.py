import subprocess
import sys

import pytest

import fedvox
from fedvox.commands.main import main

TERMINATED = """
import os, signal, sys
from pathlib import Path
from fedvox.commands import main, report
from fedvox.files import atomic_path

def run(args):
    with atomic_path(Path(sys.argv[1]) / "x.json") as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)

report.run = run
sys.exit(main.main(["report", "somewhere"]))
"""


def test_a_terminated_command_leaves_nothing_unfinished(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", TERMINATED, str(tmp_path)], check=False)
    assert done.returncode == 128 + 15
    assert list(tmp_path.iterdir()) == []


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fedvox {fedvox.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["phantom"],
        ["check"],
        ["doctor"],
        ["job"],
        ["job", "export"],
        ["predict"],
        ["report"],
        ["kit"],
        ["kit", "prepare"],
        ["kit", "renew"],
    ],
)
def test_every_help_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from fedvox.commands.main import build_parser; build_parser().format_help(); "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_command_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2


def test_stop_by_hand_is_exit_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedvox.flare.jobs.folder.jobs_folder", stop)
    assert main(["job", "list"]) == 130


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/a/b"), "/a/b: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("no number"), "no number"),
    ],
)
def test_error_of_the_system_is_one_line(
    error: OSError,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object) -> int:
        raise error

    monkeypatch.setattr("fedvox.flare.jobs.folder.jobs_folder", fail)
    assert main(["job", "list"]) == 1
    assert capsys.readouterr().err == f"fedvox: error: {line}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["job", "show", "a\nb\x1b[2J"],
        ["report", "a\nb\x1b[2J"],
        ["job", "export", "fedgin", "--out", "/dev/null/a\nb\x1b[2J"],
        ["a\nb\x1b[2J"],
    ],
)
def test_names_with_control_characters_are_shown_escaped_on_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert main(argv) == 1
    except SystemExit as stop:
        assert stop.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "\x1b" not in error
    assert "\\nb" in error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["doctor", "site-1"], "unknown: site-1 (did you mean --kit site-1?); see 'fedvox doctor"),
        (
            ["doctor", "--kits", "k"],
            "unknown option --kits; did you mean --kit? See 'fedvox doctor",
        ),
        (["doctor", "--root-ca", "AB", "CD", "EF"], "(put a fingerprint with blanks in quotes)"),
    ],
)
def test_unknown_words_lead_to_the_commands_own_help(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_fault_of_ours_is_one_line_without_what_a_library_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> int:
        raise ValueError("cannot use /data/Miller.nii")

    monkeypatch.setattr("fedvox.flare.jobs.folder.jobs_folder", fail)
    assert main(["job", "list"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fedvox: error: breaks with ValueError at ")
    assert error.endswith("]; report this line to us\n") and error.count("\n") == 1
    assert "Miller" not in error
