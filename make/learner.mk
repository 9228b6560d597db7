.PHONY: resume hub-outage memory-flat
hub-outage: $(STAMP) ## five minutes without the Hub: no round is delayed, the push comes afterwards
	$(PYTEST) tests/e2e_hub
resume: $(STAMP) ## kill a worker 20 times in 300 rounds: rewards and weights must not change
	$(PYTEST) tests/e2e_resume
memory-flat: $(STAMP) ## a worker's memory at round 100 and at round 2,000; one JSON object last
	$(PY) benchmarks/memory_flat.py --json
