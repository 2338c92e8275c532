"""Records in the formats people carry on with: data frames, tables for papers and notebooks."""
