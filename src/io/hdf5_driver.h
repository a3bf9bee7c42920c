#pragma once
// How the HDF5 library reads a foreign file. Its format's checksums do not cover global heaps, where strings of
// variable length lie, and HDF5 1.10 loops for ever over a damaged one; so every heap is checked before the library
// sees it.

#include "io/hdf5_handles.h"

namespace ldmpi::io::hdf5 {

/// Lets files that are opened with these access properties be read through the checking driver: read-only, no locks.
/// A damaged heap becomes an ordinary read error of the library.
void use_checked_reads(const PropertiesId& access);

}  // namespace ldmpi::io::hdf5
