"""Who may use the page: claim by a setup token, password, sessions, and the guards in front of every route."""
