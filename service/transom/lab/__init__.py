"""A fleet to try and test against: real SSH hosts with private roots, and a PVE API whose truth are files.

Never used by the product itself.
"""
