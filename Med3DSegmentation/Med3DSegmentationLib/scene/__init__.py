"""Everything that touches the MRML scene: nodes, arrays of segments, colours, layouts."""
