"""Pictures as bytes: encoding, safe decoding, resizing, and the metadata that travels with them; free of torch."""
