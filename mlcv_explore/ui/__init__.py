"""The only code that talks to Streamlit. Pages import its parts by name; nothing is
imported before it is used.
"""
