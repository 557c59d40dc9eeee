"""VM configurations: the file's syntax, what equality means for every key, who may write it, and whose VM it is.

Text in, text out: reads nothing, writes nothing. ``conf`` knows the file, ``fields`` the values (one small file a kind),
``registry`` finds the field of a key, ``compare`` says what differs, ``identity`` marks a VM as ours, ``shell`` says the same
change as a person would type it.
"""
