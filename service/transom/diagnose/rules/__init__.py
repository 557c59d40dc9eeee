"""The diagnoses, one file each: ``RULE`` and ``judge(subject) -> Verdict``. The subject is what ``RULE.scope`` names.

Ids, messages and causes are those of the field: what PVE, QEMU and the kernel print is given to the letter.
"""
