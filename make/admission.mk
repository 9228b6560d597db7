.PHONY: interop
interop: $(STAMP) ## two genuine genrl 0.1.11 peers and two of our daemons share 20 rounds
	$(PY) -m benchmarks.interop --rounds 20 --json
