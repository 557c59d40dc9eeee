"""Host settings, one file each: text in, text out, and what to run afterwards; and the parsers of host facts. Pure."""
