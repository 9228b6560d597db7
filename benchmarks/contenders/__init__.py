"""The two trainers that `benchmarks/trainer.py` and `benchmarks/gpu.py` compare, each behind the same commands."""
