"""What each table shows: from values to columns, cells and documents. No requests, no printing."""
