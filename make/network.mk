MINUTES ?= 15
.PHONY: chaos exchange mixed nat recovery
chaos: $(STAMP) ## kills, stalls, partitions, delays, full disks and two hostile peers for MINUTES=15 (root)
	$(PY) benchmarks/chaos.py --json --minutes $(MINUTES)
exchange: $(STAMP) ## bytes and time of an exchange, ours against genrl's, 8 to 64 peers
	$(PY) benchmarks/exchange.py --json
mixed: $(STAMP) ## a slow peer, another model family, another group size: all use each other's groups
	$(PY) benchmarks/mixed.py --json
nat: $(STAMP) ## two nodes behind NAT use each other's groups (root, iproute2, iptables)
	$(PY) benchmarks/nat.py --json
recovery: $(STAMP) ## seconds until the exchange works again after each kind of death, 20 times each
	$(PY) benchmarks/recovery.py --json
