"""The desk's own programs. They are copied into the machine as they stand; here only `lib.sums` is called."""
