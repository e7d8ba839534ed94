"""The full screen: conversations side by side, what is drawn of them, and what each key does.
It must not know sockets or JSON, and only `application` and what it draws with may know prompt_toolkit.
"""
