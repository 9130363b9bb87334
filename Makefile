# Every target sets up its own environment: a fresh machine needs Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
RUNS   ?= runs
SYNCED := $(VENV)/.synced

# Each study by the Command line of its docstring, with that line's numbers: a factorial names the share that is run.
STUDIES = grep -lE '^(SWEEP|SEARCH)' sweeps/*.py | xargs sed -n 's/^Command  *python \(sweeps\/[a-z0-9_]*\.py\( --[a-z-]* [0-9]*\)*\).*/\1/p'

.PHONY: env ablations studies list-studies test chaos check bench calibration report clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(PY):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python %d.%d found; this project needs 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8

# uv installs exactly what the lock names: no more, no less, and a few seconds once its cache is warm.
$(SYNCED): requirements.lock | $(PY)
	$(PY) -m uv pip install --quiet --compile-bytecode --python $(PY) --requirement requirements.lock
	@touch $@

## make env         the environment alone, in .venv
env: $(SYNCED)

## make ablations   run the E-P2.5 ablation at tiny scale on this machine, then write its report
ablations: $(SYNCED)
	@# Failed trials (exit code 1) are rows as well: the report is written, and the code is passed on.
	$(PY) sweeps/p2_ablations.py --scale tiny --runs $(RUNS); code=$$?; \
	if [ $$code -le 1 ]; then $(PY) -m analysis p2_ablations --runs $(RUNS) || exit $$?; fi; exit $$code

## make studies     every study at tiny scale, needed ones first, and its report; goes on after failed trials
studies: $(SYNCED)
	@# Ends with code 1 when a study is not complete. Standard input is the list, so the studies get none.
	@$(STUDIES) | { failed=; times=; while read -r study; do \
	  name=$$(basename "$${study%%.py*}"); started=$$(date +%s); \
	  $(PY) $$study --scale tiny --runs $(RUNS) </dev/null; code=$$?; \
	  if [ $$code -eq 130 ]; then exit 130; fi; \
	  if [ $$code -le 1 ]; then $(PY) -m analysis $$name --runs $(RUNS) </dev/null || code=$$?; fi; \
	  times="$$times$$name: $$(($$(date +%s) - started)) s, exit code $$code\n"; \
	  if [ $$code -ne 0 ]; then failed="$$failed $$name"; fi; \
	done; printf "$$times"; if [ -n "$$failed" ]; then echo "not complete:$$failed" >&2; exit 1; fi; }

## make report      the analysis alone, over the trials that are in runs/
report: $(SYNCED)
	$(PY) -m analysis p2_ablations --runs $(RUNS)

## make test        the whole test suite, real sweeps through Ray included
test: $(SYNCED)
	@# Two processes for what needs no Ray; then the sweeps through Ray one by one, as each takes all cores itself.
	$(PY) -m pytest -m "not ray" --numprocesses 2 --dist loadfile
	$(PY) -m pytest -m ray

## make chaos       kills, tears and fills at 100 random moments of a tiny study; FAULTS=20 SEED=7 for others (an hour)
chaos: $(SYNCED)
	$(PY) tests/chaos/chaos.py --faults $(or $(FAULTS),100) $(if $(SEED),--seed $(SEED))

## make check       formatting, lint and types: what pre-commit runs
check: $(SYNCED)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

## make bench       overhead per trial and training speed against plain Ray Tune and a plain PyTorch loop
bench: $(SYNCED)
	$(PY) -m benchmarks
	$(PY) -m benchmarks.analysis_speed

## make calibration error rates of the verdicts in simulated studies; writes analysis/calibration.csv (minutes)
calibration: $(SYNCED)
	$(PY) -m benchmarks.calibration

list-studies:
	@$(STUDIES)

clean:
	rm -rf $(VENV)
