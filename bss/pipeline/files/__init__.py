"""From files to files: in memory or in pieces, and the files that come out."""
