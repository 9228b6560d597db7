.PHONY: e2e-join
e2e-join: $(STAMP) images ## another Compose project joins this host's swarm with nothing but join.env
	$(PYTEST) -s tests/e2e_join
