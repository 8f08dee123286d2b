# Two commands on a fresh machine: `make demo` and `make test`. Both set up everything they need.
# PYTHON chooses the interpreter (3.11 or newer); UV chooses an installed uv instead of a private one.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MACHINES := $(VENV)/.machines
VLLM := $(VENV)/.vllm
DEMO := runs/demo

.PHONY: demo test check bench vllm clean

demo: $(READY)  ## The main job: a small ablation in real sandboxes, on a simulated subject
	rm -rf $(DEMO)
	$(BIN)/redline ablate examples/05_ablation.py --out $(DEMO)
	@echo "Open $(DEMO)/report.html in a browser."

test: $(MACHINES) $(VLLM)  ## Every test, every linter's and type checker's complaint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@[ -x $(VENV)/vllm/bin/python ] || [ -n "$$REDLINE_VLLM" ] || echo "There is no vLLM, so its tests are skipped. To try again: make vllm"
	$(BIN)/pytest -n auto

check: $(READY)  ## Everything `test` does but the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

vllm: $(READY)  ## A vLLM for processors, for vllm:random-weights and for its tests; tried again where it failed
	scripts/setup $(VENV) vllm
	@touch $(VLLM)

bench: $(MACHINES)  ## Ratios against a floor and a peer, measured in one run
	$(BIN)/python -m benchmarks

$(READY): scripts/setup pyproject.toml requirements.lock
	scripts/setup $(VENV)
	@touch $@

$(MACHINES): $(READY)
	scripts/setup $(VENV) machines
	@touch $@

$(VLLM): $(READY)
	scripts/setup $(VENV) vllm
	@touch $@

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
