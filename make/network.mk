.PHONY: exchange nat recovery
exchange: $(STAMP) ## bytes and time of an exchange, ours against genrl's, 8 to 64 peers
	$(PY) benchmarks/exchange.py --json
nat: $(STAMP) ## two nodes behind NAT use each other's groups (root, iproute2, iptables)
	$(PY) benchmarks/nat.py --json
recovery: $(STAMP) ## seconds until the exchange works again after each kind of death, 20 times each
	$(PY) benchmarks/recovery.py --json
