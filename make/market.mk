# judge and prediction market
.PHONY: e2e-market load-judge fuzz-market
e2e-market: $(STAMP) images ## five games under Compose with crashes of judge, login service and worker
	$(PYTEST) tests/e2e_market
load-judge: $(STAMP) ## 200 requests/s on the judge for five minutes, hostile answers among them; JSON last
	$(PY) benchmarks/judge_load.py --json
fuzz-market: $(STAMP) ## 50,000 random actions on the market contract, each compared with a model of its rules
	$(PYTEST) -s --timeout 900 tests/property/test_market_properties.py
