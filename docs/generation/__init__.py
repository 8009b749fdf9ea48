"""What the documentation takes from the code while it is built: `hooks` is what MkDocs calls, the others make Markdown.

Nothing here is installed, and nothing of the project imports it.
"""
