"""The loop: observe, plan, gate, apply, verify, record. The only place where the pure core meets the adapters."""
