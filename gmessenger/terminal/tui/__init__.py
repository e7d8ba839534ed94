"""The full screen: a pure model of conversations, its controller, and the prompt_toolkit view."""
