# Everything a person or CI runs. The environment passes through: `OPS_PORT=9081 make run`, `make seed ACCOUNTS=5000`.

.DEFAULT_GOAL := help
.PHONY: help run cluster monitor cluster-chaos test test-slow test-fronts lint seed audit sbom bench-quick bench-readme bench bench-list bench-compare bench-micro image-check build clean

# npm writes this file at the end of an install; older than the lock file means that the dependencies changed since.
installed := node_modules/.package-lock.json
# tap is assembled from its plugins once per install and configuration.
tap_built := .tap/plugins/.built

# The results that `make bench-compare A B` names are not targets to build.
ifeq (bench-compare,$(firstword $(MAKECMDGOALS)))
compared := $(wordlist 2,9,$(MAKECMDGOALS))
$(eval $(compared):;@:)
endif

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## start Postgres, the engine, the account API and demo data; Ctrl-C stops all
	@node --enable-source-maps dist/deploy/run.js

cluster: build ## start ENGINES=3 engines, two APIs and nginx over one Postgres with demo data; Ctrl-C stops all
	@node --enable-source-maps dist/deploy/cluster.js

monitor: build ## start Prometheus and Alertmanager beside a running stack; Ctrl-C stops both
	@node --enable-source-maps dist/deploy/monitor.js

cluster-chaos: build $(tap_built) ## kill, suspend and cut off engines of a cluster of its own: CHAOS_EVENTS=300
	@CHAOS_EVENTS=$${CHAOS_EVENTS:-300} npx tap --jobs=1 --timeout=7200 dist/engine/end-to-end/cluster.slow.js

test: build lint $(tap_built) ## run everything: lint, type check, tests
	@node --enable-source-maps dist/deploy/testing/run-suites.js

test-slow: build $(tap_built) ## run only the slow test suites
	@node --enable-source-maps dist/deploy/testing/run-suites.js slow

test-fronts: build $(tap_built) ## run the engine's suites with two front threads: PART=end-to-end
	@TEST_FRONTS=2 node --enable-source-maps dist/deploy/testing/run-suites.js engine/$(PART)

lint: $(installed) ## check style and common mistakes
	@npx biome check .

seed: build ## add accounts for load tests: ACCOUNTS=1000 CARDS=1 BALANCE=1000000
	@node --enable-source-maps dist/deploy/seed.js

audit: build ## prove that the books of the whole database balance
	@node --enable-source-maps dist/deploy/audit/audit.js

sbom: build ## write the bill of materials (CycloneDX) of what a deployment runs
	@node --enable-source-maps dist/deploy/write-sbom.js

bench-quick: build ## measure in under two minutes
	@node --enable-source-maps dist/bench/suite/main.js --quick

bench-readme: build ## write the newest result of bench-quick into README.md and docs/benchmarks.md
	@node --enable-source-maps dist/bench/suite/main.js --readme

bench: build ## run the whole benchmark suite and write its report; SCENARIOS="feed api" ROUNDS=5 INTO=folder
	@node --enable-source-maps dist/bench/suite/main.js $(SCENARIOS) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(INTO),--into $(INTO))

bench-list: build ## list the scenarios of `make bench`
	@node --enable-source-maps dist/bench/suite/main.js --list

bench-compare: build ## say what changed beyond noise between two results: make bench-compare A B
	@node --enable-source-maps dist/bench/suite/main.js --compare $(A) $(B) $(compared)

bench-micro: build ## measure codecs, journal, a partition and settling without the network
	@node --enable-source-maps dist/bench/micro/wire.js
	@node --enable-source-maps dist/bench/micro/decide.js
	@node --enable-source-maps dist/bench/micro/partition.js
	@node --enable-source-maps --expose-gc dist/bench/micro/cards.js
	@node --enable-source-maps dist/bench/micro/journal.js
	@node --enable-source-maps dist/bench/micro/settle.js

image-check: build $(tap_built) ## build and try the image's steps in a Debian 13 made by debootstrap (as root, minutes)
	@node --enable-source-maps dist/deploy/testing/check-image.js

build: $(installed) ## install dependencies when they changed, compile and type check
	@npm run --silent build

clean: ## remove what was built; data and dependencies stay
	rm -rf dist .tap

$(installed): package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

$(tap_built): $(installed) .taprc
	npx tap build
	@touch $@
