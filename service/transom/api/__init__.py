"""REST under /v1: OpenAPI, tokens, the event stream. Translates requests; the work is done in reconcile.

``route`` says what a route is, ``routes`` holds them all (a module a topic): from that one table come the application (``app``),
the OpenAPI document (``openapi``) and the scopes that tests go through. ``auth`` tells who asks, ``problem`` how errors read,
``body`` and ``server`` bound what a client may cost, ``feed`` and ``sse`` carry events.
"""
