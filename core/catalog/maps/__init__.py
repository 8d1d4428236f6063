"""A collection as one large picture: laid out, drawn and cut into map tiles."""
