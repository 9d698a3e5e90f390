"""The commands: one module each. They read options, call one thing, and print."""
