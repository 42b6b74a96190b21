"""Could a release be cut today?"""
