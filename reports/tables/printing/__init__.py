"""A paper's table in every format: LaTeX, Markdown, CSV, HTML. May import what `tables` may, and `tables` itself."""
