# Rapport. `make help` lists what can be done; prerequisites are Go 1.26 and Node 20 (npm), nothing else.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

export RAPPORT_HOME ?= $(CURDIR)/.rapport
export npm_config_update_notifier := false

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: prerequisites graphiql ## Start everything for development and open the explorer's address
	@[ -x bin/rapport-server ] || echo "… building the server (a minute or two the first time)"
	@go build -o bin/rapport-server . || { echo "the server does not build"; exit 1; }
	@exec ./bin/rapport-server

SPEED ?= 1

.PHONY: demo-live
demo-live: ## Play a session into a running `make run`, SPEED times as fast as people talk, to watch it in GraphiQL; PORT is the server's
	@go run ./tools/demolive -speed $(SPEED) -url http://localhost:$(or $(PORT),8080)

.PHONY: run-aws
run-aws: prerequisites graphiql ## Start everything as on AWS: S3, SQS and SNS of an emulator (Python 3.11), a worker of its own
	@[ -x bin/rapport-aws ] || echo "… building the server (a minute or two the first time)"
	@go build -o bin/rapport-aws ./tools/runaws || { echo "the server does not build"; exit 1; }
	@exec ./bin/rapport-aws

.PHONY: build
build: ## Build the server, the worker, the function for AWS Lambda and the operator's command line into bin/
	go build -o bin/rapport-server .
	go build -o bin/rapport-worker ./cmd/worker
	go build -o bin/rapport-lambda ./cmd/lambda
	go build -o bin/rapport ./cmd/rapport

.PHONY: test
test: prerequisites graphiql browser ## Install what is needed and run the whole suite on real components
	cd graphiql && npm test --silent
	go run ./tools/testrun -- go test -race -timeout 40m ./...

.PHONY: verify
verify: prerequisites ## Check format, vet, staticcheck, generated code, migrations, import rules and schema
	@echo "format";     out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt'ed:"; echo "$$out"; exit 1; }
	@echo "modules";    go mod tidy -diff && go mod verify >/dev/null
	@echo "vet";        go vet ./...
	@echo "staticcheck"; go tool staticcheck ./...
	@echo "generated";  $(MAKE) generate && git diff --exit-code -- graph docs/configuration.md || { echo "generated files are stale: run make generate and commit"; exit 1; }
	@echo "import rules, schema, migrations"; go run ./tools/testrun -- go test ./internal/importtest ./graph/... ./internal/platform/postgres

.PHONY: bench
bench: ## Measure parsing, pages, statements, screens, imports, audited writes, relays, the pipeline, memory, live sessions and searches; never fails on a time
	go run ./tools/bench

IMPORTS ?= 500

.PHONY: chaos
chaos: ## Import while processes are killed and services are away, and look whether all is as if nothing had happened
	go run ./tools/bench/chaos -imports $(IMPORTS)

.PHONY: chaos-live
chaos-live: ## Listen while connections are cut, Redis is killed and servers are killed, and look whether nothing was lost or came twice
	go run ./tools/bench/chaoslive

DATA   ?= ../shared/data/annomi/dev.csv
FORMAT ?= text

.PHONY: evaluate
evaluate: ## Compare utterance codes with human annotation: DATA=<csv>, FORMAT=json for a last line of JSON, LLM=openai SPEND=<dollars>
	@go run ./tools/evaluate -data "$(DATA)" -format "$(FORMAT)" $(if $(LLM),-llm "$(LLM)") $(if $(SPEND),-spend "$(SPEND)")

.PHONY: evaluate-search
evaluate-search: ## Judge what search finds, by words, by meaning and by both, in PostgreSQL and Elasticsearch: the table of docs/search.md
	go run ./tools/testrun -- go test -timeout 40m -run '^TestHybridIsBetter$$' ./internal/app/judged -evaluate -v

.PHONY: evaluate-ask
evaluate-ask: ## Judge what the built-in answerer answers, and where it rightly says that there is no evidence: the table of docs/ask.md
	go run ./tools/testrun -- go test -count 1 -timeout 20m -run '^TestAskQuality$$' ./internal/app -v

.PHONY: generate
generate: ## Generate graph/ from the schema and docs/configuration.md from the config struct
	go tool gqlgen generate
	go run ./tools/configdoc

FUZZTIME ?= 60s

.PHONY: fuzz
fuzz: ## Fuzz readers, exports, placeholders, queries and cursors, each for FUZZTIME; a find becomes a file under testdata/fuzz, to be committed
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./internal/coaching/transcript/format
	go test -run '^$$' -fuzz '^FuzzRoundTrip$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./internal/coaching/transcript/format
	go test -run '^$$' -fuzz '^FuzzRestore$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./internal/coaching/insight/pseudonym
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./internal/coaching/search
	go test -run '^$$' -fuzz '^FuzzCursor$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./internal/platform/stream

.PHONY: graphiql
graphiql: ## Bundle GraphiQL into the binary's files (only when something changed)
	@node graphiql/build.mjs

.PHONY: browser
browser: tools/browser/node_modules/.stamp

tools/browser/node_modules/.stamp: tools/browser/package-lock.json
	@echo "… installing the browser checks"
	@cd tools/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: prerequisites
prerequisites:
	@command -v go >/dev/null   || { echo "Go 1.26 is needed: https://go.dev/dl/"; exit 1; }
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "Node 20 with npm is needed: https://nodejs.org/"; exit 1; }
	@node -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("Node 20 is needed, this is " + process.version); process.exit(1) }'

.PHONY: clean
clean: ## Remove what was built and installed, but not the data
	rm -rf bin graphiql/node_modules tools/browser/node_modules "$(RAPPORT_HOME)"/postgres/*-*
	find graphiql/dist -mindepth 1 ! -name .gitkeep -delete
