"""What runs on SSH hosts besides the attendant. Nothing here is run by redline itself: it is sent as text.

The files keep to Python 3.8 and its standard library, and import nothing but one another.
"""
