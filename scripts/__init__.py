"""Programs for developers: generators of documents and tables. The product imports nothing from here."""
