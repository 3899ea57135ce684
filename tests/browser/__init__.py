"""A package, so that server and browser (fixtures of its scope) end with its last test:
Playwright keeps an event loop running in the thread.
"""
