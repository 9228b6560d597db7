"""HTTP of the login service: the worker API, the page, and the status socket."""
