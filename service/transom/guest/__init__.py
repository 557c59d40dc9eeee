"""VM fields, one file each: parse, render, compare, route. Pure."""
