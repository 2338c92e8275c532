"""Code that a response answers with: read out of the response, and what comes of executing it."""
