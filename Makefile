# make run    the main job on phantom data, with its report in runs/fedgin
# make test   the whole test suite
# make unit   the quick part of it (under 3 minutes)
# make poc    a dry run of three hospitals on this machine, over mTLS: runs/poc/
# make provision    builds the start-up kits of provisioning/project.yml: runs/provision/
# make secure-run   runs these kits on this machine and submits the job: runs/secure/
# make jobs   derives jobs/fedavg from jobs/fedgin
# make clean  removes .venv and runs/, but not runs/provision: kits and the root CA's key stay
# make help   prints these lines
# ARGS="..." goes on to poc and secure-run, as in: make poc ARGS="--sites ct,mr"
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
WORK := runs/.work

PROJECT := provisioning/project.yml
KITS := runs/provision/.built
ARGS ?=
# Twice the cores: the long tests wait for processes most of their time.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder

# Python keeps what it compiles, also where the environment forbids it: tests start many processes.
test unit: export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test unit lint jobs poc provision kits secure-run help clean

run: $(READY)
	@mkdir -p $(WORK) && rm -rf $(WORK)/fedgin
	$(BIN)/nvflare simulator jobs/fedgin -n 2 -t 2 -w $(WORK)/fedgin
	@rm -rf runs/fedgin && cp -r $(WORK)/fedgin/server/simulate_job/fedvox runs/fedgin
	@echo "copied to runs/fedgin; open runs/fedgin/report.html"

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST))

poc: $(READY)
	@$(BIN)/python poc/dry_run.py $(ARGS)

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

test: $(DEV) lint
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

$(READY): requirements.txt pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.txt into $(VENV): some minutes, about 2 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# The linters and checkers that only tests need; they bring requirements.txt with them.
$(DEV): requirements-dev.txt requirements.txt pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements-dev.txt into $(VENV): some minutes, about 2 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(READY) $@

clean:
	rm -rf $(VENV) simulator_workspace
	find runs -mindepth 1 -maxdepth 1 ! -name provision -exec rm -rf {} + 2>/dev/null || true
