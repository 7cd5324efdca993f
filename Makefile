# Mailwarden's commands. `make help` lists them.
SHELL := /bin/bash
PY := .venv/bin/python
export UV_PYTHON_DOWNLOADS := never
.DEFAULT_GOAL := help
.PHONY: help demo run test check lint format bench bench-jobs campaign conformance lock clean setup-runtime setup-dev

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup-runtime:
	@scripts/setup.sh requirements.txt

setup-dev:
	@scripts/setup.sh requirements-dev.txt

demo: setup-runtime ## start everything against invented mail, on this machine (PORT=8000, MAIL=folder of .eml, MESSAGES=2000)
	@exec $(PY) scripts/serve.py demo

run: setup-runtime ## start everything against your account (needs CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN)
	@exec $(PY) scripts/serve.py run

test: setup-dev ## run all tests: real PostgreSQL, real Redis, real browser (T=path runs some of them)
	@scripts/test-servers.sh
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q $(T)
ifndef T
	@echo "the same on PostgreSQL, where the database matters"
	@$(PY) scripts/on_postgres.py $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q tests/dashboard/audit tests/dashboard/upstream \
	  tests/dashboard/access/team/test_races.py tests/dashboard/access/test_throttle.py tests/investigate/actions \
	  tests/investigate/approvals tests/investigate/bulk tests/investigate/desk/test_races.py \
	  tests/investigate/desk/test_mail.py tests/investigate/memory tests/investigate/campaigns tests/investigate/notices \
	  tests/investigate/fixing/test_races.py tests/investigate/submissions/test_races.py \
	  tests/investigate/search tests/settings_ui/changes/test_races.py \
	  tests/settings_ui/entries/test_life_races.py \
	  --ignore tests/investigate/bulk/test_teeth.py --ignore tests/investigate/bulk/test_pasting.py
endif

check: setup-dev ## lint, format, types, templates, deployment settings, migrations
	@scripts/check.sh

format: setup-dev ## format the code
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

bench: setup-dev ## print what a search page, a message page and many viewers cost
	@$(PY) scripts/bench.py

bench-jobs: setup-dev ## print what a job of 100,000 messages costs everybody else, in both modes (some twelve minutes)
	@$(PY) scripts/bench_jobs.py
	@scripts/test-servers.sh
	@$(PY) scripts/bench_jobs.py --production

campaign: setup-dev ## move 10,000 messages a run while workers are killed and answers fail; check every copy (SEEDS=20)
	@$(PY) scripts/campaign.py --seeds $(or $(SEEDS),20)

conformance: setup-dev ## run the official SDK's own tests against the simulator
	@scripts/conformance.sh

lock: setup-dev ## resolve the dependencies again and write both lock files
	@for target in requirements.txt "--group dev requirements-dev.txt"; do \
	  set -- $$target; last=$${!#}; \
	  .venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    pyproject.toml $$( [ "$$#" = 1 ] || echo "$$1 $$2" ) -o $$last; done

clean: ## remove what the commands made: packages, data, caches
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
