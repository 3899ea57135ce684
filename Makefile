# `make app` opens the app, `make test` runs every check; each does all it needs, also in an empty clone.
SHELL := /bin/bash -o pipefail
PYTHON ?= python3
VENV := .venv
python := $(VENV)/bin/python
ARGS ?=

# One line that names the package being fetched, when there is a terminal to show it
install = $(python) -m pip install --disable-pip-version-check -r $(1) | \
	awk -v live="$$([ -t 1 ] && echo yes)" 'live && /^(Collecting|Downloading|Installing)/ {printf "\r\033[K%.70s", $$0; fflush()} END {if (live) printf "\r\033[K"}'

.PHONY: app test check verify bench record evidence clean

app: $(VENV)/app.stamp
	@$(python) -m streamlit run app.py $(ARGS)

# Two at a time, then those that start processes of their own and wait for them; 5: none was selected
pytest = OMP_NUM_THREADS=1 $(python) -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)
test: check
	@$(pytest) -m "not alone" || [ $$? = 5 ]
	@$(pytest) -m alone || [ $$? = 5 ]

check: $(VENV)/test.stamp
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .

# One seed of every cell and recorded run again; what ships is stamped when all numbers are equal
verify: $(VENV)/app.stamp
	@for idea in $(or $(IDEA),$$($(python) -m mlcv_explore ideas --json | $(python) -c 'import json, sys; print(*(each["slug"] for each in json.load(sys.stdin)["ideas"]))')); do \
		$(python) -m mlcv_explore record $$idea --verify || exit 1; \
		for study in live photographs; do [ ! -e assets/$$idea/$$study.json ] || \
			$(python) -m mlcv_explore evidence $$idea --study $$study --verify || exit 1; done; done

bench: $(VENV)/test.stamp
	@for measurement in bench/[a-z]*.py; do echo "== $$measurement"; OMP_NUM_THREADS=1 $(python) -m bench.$$(basename $$measurement .py) || exit 1; done

record evidence: $(VENV)/app.stamp  # make record IDEA=label_noise
	@$(python) -m mlcv_explore $@ $(or $(IDEA),$(error name the idea: make $@ IDEA=label_noise)) $(ARGS)

clean:
	rm -rf $(VENV)

$(VENV)/app.stamp: requirements.txt | $(python)
	@echo "Installing what the app needs into $(VENV) (once; a few minutes)"
	@$(call install,requirements.txt)
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/app.stamp
	@echo "Installing what the checks need into $(VENV)"
	@$(call install,requirements-dev.txt)
	@touch $@

$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "mlcv-explore needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -1); name another one: make $(or $(firstword $(MAKECMDGOALS)),app) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
