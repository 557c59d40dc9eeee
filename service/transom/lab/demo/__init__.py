"""What ``make demo`` shows, on a lab of its own: ``keeping`` the daemon that keeps four nodes, ``job`` the main job on one node.

The product is used from outside only: its command, and its API over HTTP. Nothing is claimed that is not checked on the nodes.
"""
