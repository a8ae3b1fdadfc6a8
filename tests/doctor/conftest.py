"""A provisioned site with phantoms, a job, and a server that answers over mTLS."""

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedvox.commands.main import main
from fedvox.doctor.network import HTTP2
from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.kits import Kits

ROOT = Path(__file__).parents[2]
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SECONDS = 60


@dataclass
class Place:
    """What `fedvox doctor` is given."""

    kit: Path
    job: Path
    data: Path

    @property
    def startup(self) -> Path:
        return self.kit / "startup"

    @property
    def local(self) -> Path:
        return self.kit / "local"

    def arguments(self) -> list[str]:
        return ["doctor", "--kit", str(self.kit), "--job", str(self.job), "--json"]


@pytest.fixture(scope="session")
def kits(clean_kits: Kits) -> Kits:
    """Kits of the repository's own project on free ports."""
    return clean_kits


@pytest.fixture(scope="session")
def tiny_job(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: list[str]) -> Path:
    return export_job(
        ROOT / "jobs/fedgin", tmp_path_factory.mktemp("jobs"), overrides=tiny_overrides
    )


@pytest.fixture
def place(kits: Kits, tiny_job: Path, phantom_site, tmp_path: Path) -> Place:
    """A copy of everything, to be damaged."""
    shutil.copytree(kits.kit("site-1"), tmp_path / "kit")
    shutil.copytree(tiny_job, tmp_path / "job")
    shutil.copytree(phantom_site("ct"), tmp_path / "data")
    site = {
        "dataset": "phantom",
        "root": str(tmp_path / "data"),
        "modalities": ["ct"],
        "split": "dataset",
        "cache": str(tmp_path / "cache"),
    }
    (tmp_path / "kit/local/fedvox_site.json").write_text(json.dumps(site))
    return Place(tmp_path / "kit", tmp_path / "job", tmp_path / "data")


@pytest.fixture
def server(kits: Kits) -> Iterator[None]:
    """Behaves as FLARE's gRPC server: wants a certificate of the project, speaks HTTP/2 only."""
    startup = kits.kit(kits.server) / "startup"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=startup / "rootCA.pem")
    context.load_cert_chain(startup / "server.crt", startup / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([HTTP2])
    listener = socket.create_server(("127.0.0.1", kits.port))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secured:
                    secured.settimeout(60)
                    if secured.selected_alpn_protocol() == HTTP2 and secured.recv(1):
                        secured.sendall(SETTINGS)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    stopped.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


@pytest.fixture
def doctor(place, server, capsys):
    """A function that runs the command and returns exit code and finding by check."""

    def run(*more: str) -> tuple[int, dict[str, dict[str, str]]]:
        start = time.process_time()  # of this process alone, whatever else the machine does
        code = main([*place.arguments(), *more])
        assert time.process_time() - start < SECONDS
        output = capsys.readouterr().out
        assert str(place.data) not in output
        return code, {f["check"]: f for f in json.loads(output)["findings"]}

    return run


@pytest.fixture
def complaints() -> Callable[[dict[str, dict[str, str]]], set[str]]:
    """A function from findings to the checks that did not pass."""

    def select(findings: dict[str, dict[str, str]]) -> set[str]:
        return {name for name, finding in findings.items() if finding["status"] != "PASS"}

    return select


@pytest.fixture
def found(doctor, complaints):
    """A function that demands a complaint with certain words and a remedy."""

    def run(check: str, *words: str, more: Sequence[str] = ()) -> Any:
        code, findings = doctor(*more)
        assert check in complaints(findings), findings
        text = findings[check]["message"]
        assert all(word in text for word in words), text
        assert findings[check]["remedy"]
        return code, findings

    return run
