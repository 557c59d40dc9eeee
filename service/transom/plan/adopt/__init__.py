"""Documents from what exists: facts → documents under which the next plan is empty. Reads nothing, writes nothing.

``find`` says what is there, ``express`` in which words documents say it, ``settle`` leaves out what would not be empty, with the
reason, and ``text`` writes it down.
"""
