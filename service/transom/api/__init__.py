"""REST under /v1: OpenAPI, tokens, the event stream. Translates requests; the work is done in reconcile."""
