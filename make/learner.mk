.PHONY: resume hub-outage
hub-outage: $(STAMP) ## five minutes without the Hub: no round is delayed, the push comes afterwards
	$(PYTEST) tests/e2e_hub
resume: $(STAMP) ## kill a worker 20 times in 300 rounds: rewards and weights must not change
	$(PYTEST) tests/e2e_resume
