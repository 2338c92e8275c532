"""Who may ask for what: tokens, roles, rates, the audit log, the guard before every route."""
