"""Whom the application is to its database."""

APPLICATION_ROLE = "marrow_app"
"""The role that the services work as. It logs in nowhere; connections take it on (`options=-c role=marrow_app`)."""
