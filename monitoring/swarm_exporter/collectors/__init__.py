"""One collector a source. Each reads its source within a bound, adds samples, and says whether all went well."""
