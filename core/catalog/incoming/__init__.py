"""How tiles come in: uploads, archives, downloads, layouts of other data sets."""
