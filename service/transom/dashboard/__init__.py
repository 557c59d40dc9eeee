"""Server-rendered pages over the same answers as the API. Holds no state and no logic of its own."""
