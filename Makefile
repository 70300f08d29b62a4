# Sauron: `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Tools that no go.mod holds: buf alone would add ninety requirements and move the
# protobuf runtime. The generators follow go.mod, as its `tool` directives.
BUF           := go run github.com/bufbuild/buf/cmd/buf@v1.75.0
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GRPCURL       := github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4

# The race detector needs cgo, and so a C compiler.
RACE    := $(shell command -v "$$(go env CC)" >/dev/null && echo -race)
BUILD   := $(CURDIR)/.build
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# What `make tools` installs is found by the tests; without it they skip.
export PATH := $(BUILD)/bin:$(PATH)
ifneq ($(wildcard $(BUILD)/venv/bin/python),)
export PYTHON := $(BUILD)/venv/bin/python
endif

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/sauron
	go build -ldflags '-X main.version=$(VERSION)' -o bin/sauron ./cmd/sauron

.PHONY: run
run: build ## Serve the simulator on loopback, and print what to try in a second terminal
	bin/sauron serve --drain-delay 0s

##@ Test

.PHONY: test
test: ## Run all tests, with the race detector if there is a C compiler (some minutes on two cores)
	go test $(RACE) -shuffle=on -timeout 20m ./...

.PHONY: tools
tools: ## Install what some tests skip without: grpcurl, and gRPC for Python, into .build
	GOBIN=$(BUILD)/bin go install $(GRPCURL)
	test -x $(BUILD)/venv/bin/python || python3 -m venv $(BUILD)/venv
	$(BUILD)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r examples/python/requirements.txt

.PHONY: test-clients
test-clients: ## Run the example clients against a real server, through connections that are cut (Python, Node.js)
	go run ./cmd/clienttest

.PHONY: check
check: test verify test-clients ## Everything that CI runs

.PHONY: verify
verify: check-generate lint stress fuzz benchmarks bench-quick ## Everything of check but test

.PHONY: stress
stress: ## Run the concurrent packages again, on one core and on four, with more random schedules
	go test $(RACE) -cpu 1,4 -shuffle=on -timeout 20m ./client ./server
	go test $(RACE) -cpu 1,4 -shuffle=on -timeout 20m ./manager -rapid.checks=2000

# Counts and not times: with a time, Go 1.26 may report its own deadline as a failure
# (go.dev/issue/75804, mended in 1.27), and making one input small may take a minute.
FUZZTIME ?= 100000x

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (default 100000x: so many inputs)
	for target in $$(grep -rhoE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' . | sort -u | sed 's/func //'); do \
		dir=$$(dirname $$(grep -rlE "^func $$target\(" --include='*_test.go' . | head -1)); \
		echo "$$dir $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$dir; \
	done

.PHONY: benchmarks
benchmarks: ## Run every Go benchmark once
	go test -run '^$$' -bench . -benchtime 1x ./...

# cmd/bench is a module of its own: what it needs never gets into the product's go.mod.
.PHONY: bench
bench: ## Measure sauron beside the designs that it replaces, and write docs/bench/report.md (40 minutes; Linux)
	cd cmd/bench && go run .

.PHONY: bench-quick
bench-quick: ## Check cmd/bench, and run all of it once in a minute or so, without a report to keep
	cd cmd/bench && go vet ./... && go fix -diff ./... && go mod tidy -diff && go test -bench . -benchtime 1x ./... && \
		$(GOLANGCI_LINT) run -c ../../.golangci.yml && go run . -quick

.PHONY: e2e-real
e2e-real: ## Put sauron before a real model on this machine, and report what it saw
	go run ./cmd/e2e real

.PHONY: e2e-mock
e2e-mock: ## The same before @copilotkit/aimock, whose own journal counts (needs Node.js)
	go run ./cmd/e2e mock

##@ Develop

.PHONY: generate
generate: ## Generate gen/ from proto/
	$(BUF) generate

.PHONY: check-generate
check-generate: ## Fail if gen/ is not what generate makes
	rm -rf $(BUILD)/gen && mkdir -p $(BUILD)/gen
	$(BUF) generate --output $(BUILD)/gen
	diff -r $(BUILD)/gen/gen gen

.PHONY: lint
lint: ## Lint, vet and check the format of everything
	$(BUF) lint
	$(BUF) format --diff --exit-code
	go vet ./...
	go fix -diff ./...
	go mod tidy -diff
	$(GOLANGCI_LINT) run

.PHONY: breaking
breaking: ## Fail if the contract breaks who uses main's
	$(BUF) breaking --against '.git#branch=main'

.PHONY: format
format: ## Format everything
	$(BUF) format --write
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what make made
	rm -rf bin $(BUILD)
