"""Evaluation protocols and what they score with: noise, PSNR and SSIM, LPIPS. A new protocol goes into `catalogue`.

May import: `errors` of `benchmarks`, and `samples` and `streams` of `datasets`.
"""
