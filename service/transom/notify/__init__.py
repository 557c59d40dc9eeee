"""Who is told, and how. Sends; decides nothing."""
