"""Why are there no metrics? Checks in their order, each with an identifier, what was found, why, and what to do.

Read-only: reviews of rights are asked for by POST, and leave nothing behind.
"""
