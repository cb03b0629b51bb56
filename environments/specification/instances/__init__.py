"""Published instances of bin packing, turned into inputs of the specification `bin_packing`."""
