"""Chart patterns: five shapes, each with a written geometric definition, judged at the end of a bar from that bar and earlier ones alone. Pure."""
