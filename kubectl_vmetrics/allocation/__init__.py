"""Showback: what each tenant used, requested and is billed for, in rows that add up to the host."""
