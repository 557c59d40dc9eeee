"""How drift, plans and runs read, as text and as Markdown. Pure."""
