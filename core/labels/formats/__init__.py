"""File formats that labels come in and go out by, one a module; none of them knows the workspace or its journal."""
