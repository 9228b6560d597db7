.PHONY: interop
interop: $(STAMP) ## two genuine genrl 0.1.11 peers and two of our daemons share 20 rounds
	$(PY) -m benchmarks.interop --rounds 20 --json

.PHONY: join-env
join-env: ## HOST=name-or-address: print the join.env with which others join this host's swarm
	@test -n "$(HOST)" || { echo "make join-env HOST=name-or-address-of-this-machine > join.env" >&2; exit 2; }
	@docker compose --profile host exec -T gateway swarm-join-env --host "$(HOST)" \
	    --rpc-port "$$(docker compose --profile host port gateway 8645 | sed 's/.*://')"

.PHONY: fuzz swarmsim
fuzz: $(STAMP) ## a million mutated inputs through every decoder of strangers' bytes
	$(PY) -m benchmarks.fuzz --count 1000000 --json
swarmsim: $(STAMP) ## the exchange simulated with 10 to 10,000 nodes and each hostile kind
	$(PY) -m benchmarks.swarm_sim --json
