"""Named splits of a collection: made, balanced, kept from leaking, frozen once a run used them."""
