# make serve      build the book and read it at http://localhost:8000 (PORT=8001 for another port)
# make test       check everything: style, types, library, notebooks, pages, JupyterLab, and on Linux grading
# make book       build the book into _build/html
# make pdf        print the book to _build/convlab.pdf; the next make book puts it beside the pages
# make notebooks  run every chapter again, store its outputs, write copies for students
# make bench      measure the library's speed
# make clean      remove everything that make made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
BIN := .venv/bin
GRADING := .venv-grading/bin
LINUX := $(filter Linux,$(shell uname))
.PHONY: serve test environments test-grading book pdf notebooks bench clean
.DELETE_ON_ERROR:

serve: book
	@$(BIN)/python tools/serve.py _build/html $(PORT)

test: environments
	$(BIN)/python tools/chromium.py
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadscope
	$(if $(LINUX),@$(MAKE) --no-print-directory test-grading)

environments: .venv/made $(if $(LINUX),.venv-grading/made)
	@$(MAKE) --no-print-directory -j2 .venv/all $(if $(LINUX),.venv-grading/all)

# Students' code runs in a sandbox that only Linux has.
test-grading: .venv-grading/all
	@$(PYTHON) tools/debian.py bwrap bubblewrap
	OMP_NUM_THREADS=1 $(GRADING)/pytest -c tests/grading/pytest.ini -n 2 tests/grading src/convlab/grading

book: .venv/site
	$(BIN)/jupyter-book build . -q -W -n --keep-going

pdf: book .venv/print
	$(BIN)/python tools/chromium.py
	$(BIN)/python tools/print.py _build/html _build/convlab.pdf

notebooks: .venv/all
	$(BIN)/python tools/notebooks.py

bench: .venv/all .venv-grading/all
	$(BIN)/python benchmarks

clean:
	rm -rf .venv .venv-grading _build .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info

# Each stamp is written last, so that an interrupted installation is done again.
%/made:
	@$(PYTHON) tools/make_venv.py $*
	@touch $@

.venv/site: .venv/made requirements.txt pyproject.toml
	grep == requirements.txt > .venv/constraints.txt
	$(BIN)/pip install -q -c .venv/constraints.txt -e '.[docs]'
	@touch $@

.venv/print: .venv/site
	$(BIN)/pip install -q -c .venv/constraints.txt -e '.[print]'
	@touch $@

.venv/all: .venv/made requirements.txt pyproject.toml
	$(BIN)/pip install -q -r requirements.txt
	@touch $@

.venv-grading/all: .venv-grading/made exercises/requirements.txt pyproject.toml
	$(GRADING)/pip install -q -r exercises/requirements.txt
	@touch $@
