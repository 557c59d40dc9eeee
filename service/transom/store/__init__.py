"""The one owner of the database: documents, plans, runs, the ledger. Every query lives here."""
