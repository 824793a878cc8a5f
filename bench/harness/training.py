"""loader, diagnose-share: what training costs besides its steps."""
BENCHMARKS = {}
