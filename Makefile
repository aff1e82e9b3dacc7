# `make demo` counts the bundled sample and shows the result; `make test` runs the tests.
# Both install what they need into .venv first. PYTHON names the Python to use, 3.11 or later.

PYTHON ?= python3
PARALLEL = -n auto --dist worksteal
BIN = .venv/bin
DEMO = sqlite:///demo/daskingest.db

.PHONY: demo test test-slow lint pictures performance performance-page clean

demo: .venv/installed
	@rm -rf demo && mkdir demo
	@echo
	@echo "Counting the bundled sample: 64 articles of eight publications."
	$(BIN)/daskingest run-csv daskingest/sample.csv --store $(DEMO) --batch-bytes 8000 --rejects demo/rejects.jsonl
	@echo
	$(BIN)/daskingest publications --store $(DEMO)
	@echo
	$(BIN)/daskingest top "The Harbour Courier" -n 10 --store $(DEMO)
	@echo
	@echo "Next, look at the counts in a browser:"
	@echo "  $(BIN)/daskingest explore --store $(DEMO)"
	@echo "count a file of your own, with a column for the text and one for the publication:"
	@echo "  $(BIN)/daskingest run-csv YOUR.csv"
	@echo "or see all commands:  $(BIN)/daskingest --help"

test: .venv/installed-test
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(PYTEST)

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -m slow $(PARALLEL) $(PYTEST)

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The README's, of the bundled sample.
pictures: .venv/installed-test
	$(BIN)/python tests/readme_pictures.py

# The page of what this machine does, and the README's figures. It takes an hour or two.
performance: .venv/installed-test
	$(BIN)/daskingest bench --peers --page performance $(BENCH)
	$(MAKE) performance-page

# The same of the last run again, after the page's text has changed.
performance-page: .venv/installed-test
	$(BIN)/daskingest bench --report performance/run.json --page performance
	$(BIN)/python -m daskingest.benchmarks.page performance README.md

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  f"daskingest needs Python 3.11 or later; this is {v.major}.{v.minor}. Use another with: make PYTHON=python3.12")'
	@echo "Installing daskingest into .venv; this takes a minute or two, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# Without npm the tests of Firestore are skipped, and without Chromium those of the pages.
.venv/installed-test: .venv/installed tests/package-lock.json
	@echo "Installing what the tests need."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@if command -v npm >/dev/null; then npm ci --prefix tests --silent; fi
	@touch $@

clean:
	rm -rf .venv demo tests/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
