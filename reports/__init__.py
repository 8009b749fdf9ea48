"""Tables made from stored records; no network is ever run here."""
