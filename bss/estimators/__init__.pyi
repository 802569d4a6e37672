from .ica import FastICA as FastICA, Infomax as Infomax, Jade as Jade, PicardO as PicardO
