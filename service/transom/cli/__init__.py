"""The command line. Turns words into calls and answers into text; decides nothing."""
