"""What is counted, for whoever scrapes it."""
