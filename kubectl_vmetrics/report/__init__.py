"""The HTML page of `report`: sections and charts, from values that others have gathered. No I/O."""
