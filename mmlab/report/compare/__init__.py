"""Is A better than B? Runs, groups and experiments compared on the samples that all were asked."""
