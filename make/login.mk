.PHONY: e2e-login fuzz-login load-login
e2e-login: $(STAMP) images ## login in Chromium: passkey, wallet, password, Caddy, TLS, other sites, restarts, a second stack
	$(PYTEST) tests/e2e_login
fuzz-login: $(STAMP) ## schemathesis over both listeners of the login service
	$(PYTEST) --timeout 900 tests/fuzz_login
load-login: $(STAMP) ## 64 parallel passwords, then ten minutes of 50 requests/s; one JSON object last
	$(PY) benchmarks/login_load.py --json
