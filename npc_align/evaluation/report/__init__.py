"""The report of an evaluation folder: one HTML file that needs nothing else, and the same in Markdown."""
