"""The report about a model: one HTML file that needs no network. Numbers are gathered first, as plain data, and then drawn."""
