"""What runs inside a machine. Nothing here is run by redline itself: the files are sent as text.

They keep to Python 3.8 and its standard library, and import nothing but one another.
"""
