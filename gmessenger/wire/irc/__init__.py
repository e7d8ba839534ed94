"""The IRC protocol with IRCv3's message tags: bytes to lines and back, masks, numerics and capabilities; all pure."""
