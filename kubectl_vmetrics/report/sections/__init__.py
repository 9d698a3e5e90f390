"""The sections of the report: one module each, from what was gathered to what the page shows."""
