"""The ASGI app: one module per resource, who may ask, live updates, and the built web app."""
