# make run    the main job on phantom data, with its report in runs/fedgin
# make test   the whole test suite
# make unit   the quick part of it (under 3 minutes)
# make coverage   the whole test suite, with the share of lines that it runs (at least 90%)
# make poc    a dry run of three hospitals on this machine, over mTLS: runs/poc/
# make drill  faults against such a federation: kills, cut links, lies, strangers: runs/drill/
# make provision    builds the start-up kits of provisioning/project.yml: runs/provision/
# make secure-run   runs these kits on this machine and submits the job: runs/secure/
# make jobs   derives jobs/fedavg from jobs/fedgin
# make lock   requirements*.lock from requirements.txt; ARGS=--upgrade takes newer versions
# make wheelhouse   what a site without network installs: runs/wheelhouse/; of GPUs: LOCK=requirements-gpu.lock
# make audit  asks PyPI for known vulnerabilities of the locked versions
# make sbom   the locked versions as CycloneDX: runs/sbom.json; of GPUs: LOCK=requirements-gpu.lock
# make clean  removes .venv and runs/, but not runs/provision: kits and the root CA's key stay
# make help   prints these lines
# ARGS="..." goes on to poc, drill, secure-run and lock, as in: make poc ARGS="--sites ct,mr"
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
VERSIONS := $(VENV)/versions.txt
WORK := runs/.work

PROJECT := provisioning/project.yml
KITS := runs/provision/.built
ARGS ?=
LOCK ?= requirements.lock
# PyTorch for CPUs, which PyPI lacks: a page of links, or a folder of wheels.
CPU_WHEELS ?= https://download.pytorch.org/whl/cpu/torch/
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Apart: its JSON Schema formats would make every import of MONAI some seconds longer.
SBOM_TOOL := cyclonedx-bom==7.5.0
TOOLS := $(VENV)/tools
TOOLS_READY := $(VENV)/.ready-tools
SBOM := $(TOOLS)/bin/python -W ignore::UserWarning -m cyclonedx_py
COMPILE := grep -v '^-e' requirements.txt | $(BIN)/uv pip compile - --quiet --no-config \
	--python-version 3.11 --python-platform x86_64-manylinux_2_31 --only-binary :all: \
	--emit-build-options --generate-hashes --annotation-style line --custom-compile-command "make lock"
# Twice the cores: the long tests wait for processes most of their time.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder

# Python keeps what it compiles, also where the environment forbids it: tests start many processes.
test unit coverage: export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test unit coverage lint jobs poc drill provision kits secure-run lock wheelhouse audit sbom help clean

run: $(READY)
	@mkdir -p $(WORK) && rm -rf $(WORK)/fedgin
	$(BIN)/nvflare simulator jobs/fedgin -n 2 -t 2 -w $(WORK)/fedgin
	@rm -rf runs/fedgin && cp -r $(WORK)/fedgin/server/simulate_job/fedvox runs/fedgin
	@echo "copied to runs/fedgin; open runs/fedgin/report.html"

help:
	@sed -n '/^#/!q; s/^# //p' $(firstword $(MAKEFILE_LIST))

poc: $(READY)
	@$(BIN)/python poc/dry_run.py $(ARGS)

drill: $(READY)
	@$(BIN)/python poc/drill.py $(ARGS)

provision: kits
	@echo
	@echo "kits: the newest prod_NN under runs/provision/; docs/operator.md says how to go on"
	@echo "send each participant its own folder only, never state/: it holds the root CA's private key"
	@echo "to check a kit: fedvox doctor --kit FOLDER (it goes further than FLARE's preflight check)"

kits: $(READY)
	@answer=$$($(BIN)/nvflare provision -p $(PROJECT) -w runs/provision --force --format json) \
		|| { echo "$$answer"; exit 1; }
	@touch $(KITS)

secure-run: $(READY)
	@test $(KITS) -nt $(PROJECT) || $(MAKE) --no-print-directory kits
	@$(BIN)/python provisioning/secure_run.py --project $(PROJECT) $(ARGS)

test: $(DEV) $(TOOLS_READY) lint
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# Apart: counting lines makes the tests of this process half as long again.
coverage: $(DEV) $(TOOLS_READY)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov=fedvox --cov-report=term:skip-covered --cov-fail-under=90

unit: $(DEV)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not system"

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

jobs: $(READY)
	rm -rf jobs/fedavg
	$(BIN)/fedvox job export fedgin --name fedavg --code pinned --set augmentation.name=none --out jobs
	rm -f jobs/fedavg/README.md && cp docs/jobs/fedavg.md jobs/fedavg/README.md

# uv by itself, since requirements.txt may ask for versions that the lock does not have yet.
lock: $(BIN)/python
	$(PIP) install --quiet "$$(grep -o '^uv==[^ ]*' requirements-dev.txt)"
	$(COMPILE) $(ARGS) --output-file requirements-gpu.lock
	$(COMPILE) --output-file requirements.lock --constraint requirements-gpu.lock \
		--find-links $(CPU_WHEELS)

wheelhouse: $(BIN)/python
	rm -rf build runs/wheelhouse
	$(PIP) download --require-hashes --find-links $(CPU_WHEELS) --dest runs/wheelhouse -r $(LOCK)
	$(PIP) wheel --no-deps --wheel-dir runs/wheelhouse .

# The same versions as in requirements.lock, under the names that PyPI knows. A package of which
# nothing can be learned is a failure.
audit: $(DEV)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-gpu.lock

sbom: $(TOOLS_READY)
	@mkdir -p runs
	$(SBOM) requirements $(LOCK) --pyproject pyproject.toml --output-reproducible -o runs/sbom.json

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The locked versions without their hashes, which pip refuses beside an editable package.
$(VERSIONS): requirements.lock | $(BIN)/python
	sed -n 's/^\([a-z0-9.-]*==[^ +]*\).*/\1/p' requirements.lock > $@

$(READY): requirements.txt $(VERSIONS) pyproject.toml setup.py
	@echo "installing requirements.txt into $(VENV): some minutes, about 2 GB"
	$(PIP) install --quiet -c $(VERSIONS) -r requirements.txt
	@touch $@

# The linters and checkers that only tests need; they bring requirements.txt with them. Python compiles
# what is imported when it first is, a small part of all.
$(DEV): requirements-dev.txt requirements.txt $(VERSIONS) pyproject.toml setup.py
	@echo "installing requirements-dev.txt into $(VENV): some minutes, about 2 GB"
	$(PIP) install --quiet --no-compile -c $(VERSIONS) -r requirements-dev.txt
	@touch $(READY) $@

$(TOOLS_READY): Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --disable-pip-version-check --quiet --no-compile $(SBOM_TOOL)
	@touch $@

clean:
	rm -rf $(VENV) simulator_workspace
	find runs -mindepth 1 -maxdepth 1 ! -name provision -exec rm -rf {} + 2>/dev/null || true
