# Everything a person or CI runs. The environment passes through: `OPS_PORT=9081 make run`, `make seed ACCOUNTS=5000`.

.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint seed audit bench-quick bench-memory bench-readme bench-api bench build clean

# npm writes this file at the end of an install; older than the lock file means that the dependencies changed since.
installed := node_modules/.package-lock.json
# tap is assembled from its plugins once per install and configuration.
tap_built := .tap/plugins/.built

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## start Postgres, the engine, the account API and demo data; Ctrl-C stops all
	@node --enable-source-maps dist/deploy/run.js

test: build lint $(tap_built) ## run everything: lint, type check, tests
	@node --enable-source-maps dist/deploy/testing/run-suites.js

test-slow: build $(tap_built) ## run only the slow test suites
	@node --enable-source-maps dist/deploy/testing/run-suites.js slow

lint: $(installed) ## check style and common mistakes
	@npx biome check .

seed: build ## add accounts for load tests: ACCOUNTS=1000 CARDS=1 BALANCE=1000000
	@node --enable-source-maps dist/deploy/seed.js

audit: build ## prove that the books of the whole database balance
	@node --enable-source-maps dist/deploy/audit.js

bench-quick: build ## measure in under two minutes
	@node --enable-source-maps dist/bench/quick.js

bench-memory: build ## make CARDS=1000000 cards known to an engine and print its memory
	@node --enable-source-maps dist/bench/memory.js $(CARDS)

bench-readme: build ## write the README's table from the newest result of bench-quick
	@node --enable-source-maps dist/bench/quick.js --readme

bench-api: build ## measure the account API at 1,000 requests a second beside a bare Fastify route
	@node --enable-source-maps dist/bench/api.js

bench: build ## run the whole benchmark suite and write its report
	@node --enable-source-maps dist/bench/quick.js
	@node --enable-source-maps dist/bench/memory.js $(CARDS)
	@node --enable-source-maps dist/bench/micro/wire.js
	@node --enable-source-maps dist/bench/micro/partition.js
	@node --enable-source-maps dist/bench/micro/journal.js
	@node --enable-source-maps dist/bench/micro/settle.js

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
