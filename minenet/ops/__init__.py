"""What is done to images on the device before the model sees them.

In raster units, NaN where invalid: `filters`, `indices`, `palette`, `resize` and `sar`;
then `normalize`, which makes NaN 0, by what `normalizers` reads in a configuration. On
normalised samples, 0 where invalid: `augment`, which puts together `bands`, `color`,
`degrade`, `geometry`, `mixing`, `sky` and `warp`.
"""
