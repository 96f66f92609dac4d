//! Who changes the catalog: the control core, one file for each credential statement in `exec/`.
