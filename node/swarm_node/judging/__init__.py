"""The worker's side of the judge: questions fetched and answers handed in beside the rounds."""
