"""One host setting a file; ``registry`` finds them."""
