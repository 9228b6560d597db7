.PHONY: resume
resume: $(STAMP) ## kill a worker 20 times in 300 rounds: rewards and weights must not change
	$(PYTEST) tests/e2e_resume
