"""Developers' programs: generators of documents, catalogs and lock files. The product imports nothing from here."""
