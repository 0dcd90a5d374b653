"""How pages write moments that a view does not write itself (`FORMAT_MODULE_PATH`)."""
