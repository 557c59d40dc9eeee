"""The lab's Proxmox VE API: a small stateful server, `qm` and `pvesh` over the same files.

Truth is files under one root a node (as pmxcfs shows them); nothing is kept in memory, so the server, the command-line
tools and a person with an editor agree. It answers as recorded from the real code, not as a friendly fake would.
Never used by the product itself.
"""
