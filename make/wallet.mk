.PHONY: chaos-outbox
chaos-outbox: $(STAMP) ## 500 intents over a faulty RPC with kills and a rival, 3,000 drained; one JSON object last
	$(PY) -m benchmarks.chaos_outbox --json
