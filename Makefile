# make train | test | test-all | test-jax-0.11 | test-portable | faults | paper | results | general | ablation | lint | docs | clean
# options: PYTHON=python3.12 VENV=.venv-3.12 ARGS="num_updates=10" CONSTRAINTS=constraints-jax-0.11.txt

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
CONSTRAINTS ?= constraints.txt

BIN := $(VENV)/bin
# By files, so that the tests of a file share its compiled programs.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

.PHONY: train test test-all test-jax-0.11 test-portable faults paper results general ablation lint docs clean

train: $(VENV)/.installed
	$(BIN)/podmeta train experiment=bandit $(ARGS)

# Without the tests marked `long`, which test-all includes.
test: $(VENV)/.installed-dev
	$(PYTEST) -m 'not long' $(ARGS)

test-all: $(VENV)/.installed-dev
	$(PYTEST) $(ARGS)

# A fast subset on JAX 0.11, which needs Python 3.12: what calls JAX in the most ways. The other targets use JAX 0.10.
test-jax-0.11:
	$(MAKE) test VENV=.venv-jax-0.11 CONSTRAINTS=constraints-jax-0.11.txt PYTHON=$(PYTHON) ARGS="tests/architectures \
	    tests/distributed tests/learners tests/outer tests/planning tests/storage tests/test_arithmetic.py tests/test_keys.py"

# The tests under conditions that resemble other machines; tests/conftest.py explains the variables. Each condition runs
# the tests that it can affect: those that load a shipped θ, that compile programs, that run threads, devices or
# processes, or that execute documents.
COMPILING := tests/architectures tests/environments tests/evaluation tests/learners tests/outer tests/planning \
    tests/storage tests/training tests/test_agent.py tests/test_docs.py tests/test_inner_loop.py tests/test_readme.py
test-portable: $(VENV)/.installed-dev
	PODMETA_TEST_SHIFT=1e-6 $(PYTEST) -m 'not long' tests/training/test_export.py tests/test_agent.py tests/test_docs.py \
	    tests/test_readme.py $(ARGS)
	PODMETA_TEST_SEED=1 $(PYTEST) tests/test_docs.py tests/test_readme.py $(ARGS)
	PODMETA_TEST_CORES=1 $(PYTEST) -m 'not long' tests/architectures tests/end_to_end tests/environments/host \
	    tests/distributed tests/outer tests/storage tests/training $(ARGS)
	PODMETA_TEST_XLA_FLAGS='--xla_cpu_enable_fast_math=true --xla_cpu_use_fusion_emitters=true' \
	    $(PYTEST) -m 'not long' $(COMPILING) $(ARGS)

# Kills, interrupts and signals jobs 200 times at random moments, for half an hour. ARGS="--tries 20 --only sweep" does less.
faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.end_to_end.faults $(ARGS)

paper: $(VENV)/.installed
	$(BIN)/python launch/paper.py $(ARGS)

# The figures of docs/results.md, with several seeds of every experiment, in hours. ARGS="bandit cartpole" does some.
results: $(VENV)/.installed
	$(BIN)/python launch/results.py $(ARGS)

# The figures of symla-general: three seeds, an hour each on a core, and their tests on held-out environments.
general: $(VENV)/.installed-dev
	$(BIN)/python launch/general.py $(ARGS)

# What each part of the recipe of symla-general is worth: 33 short trainings, three hours on a core.
ablation: $(VENV)/.installed-dev
	$(BIN)/python -m launch.ablation $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python -X utf8 -c 'from podmeta.config import reference; print(reference.config_reference())' > docs/config_keys.md
	$(BIN)/zensical build --strict --clean
	@echo 'build/site/index.html holds the documentation; its search needs a server, such as python -m http.server -d build/site'

clean:
	rm -rf $(VENV) build dist docs/config_keys.md .cache *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps below are written last, so that an interrupted installation is repeated, and a complete one is not.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo 'podmeta needs Python 3.11 to 3.13, which $(PYTHON) is not: name one, as in make train PYTHON=python3.12' >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml $(CONSTRAINTS)
	@echo 'installing podmeta and its requirements in $(VENV): a minute or two'
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) --editable '.[docs]'
	@touch $@
