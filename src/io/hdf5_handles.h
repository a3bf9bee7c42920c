#pragma once
// Shared by the HDF5 reader and writer: owned identifiers, the error stack as text, and type names. Not for other
// files.

#include <hdf5.h>

#include <string>

#include "base/dtype.h"
#include "base/handle.h"

namespace ldmpi::io::hdf5 {

using FileId = Handle<hid_t, &H5Fclose, hid_t{-1}>;
using DatasetId = Handle<hid_t, &H5Dclose, hid_t{-1}>;
using SpaceId = Handle<hid_t, &H5Sclose, hid_t{-1}>;
using TypeId = Handle<hid_t, &H5Tclose, hid_t{-1}>;
using AttributeId = Handle<hid_t, &H5Aclose, hid_t{-1}>;
using PropertiesId = Handle<hid_t, &H5Pclose, hid_t{-1}>;

/// Stops the library from printing errors itself and from loading filter plugins.
void prepare_library();

/// What the library said about its last failure on this thread, outermost first; empty if nothing.
[[nodiscard]] std::string error_stack();

/// File access properties: no locking, all handles closed with the file, format 1.10 for what is created.
[[nodiscard]] PropertiesId access_properties();

/// The little-endian file and memory type of a number. F16 is IEEE half; BF16 has no HDF5 form (Internal).
[[nodiscard]] TypeId number_type(DType dtype);

/// Variable-length UTF-8.
[[nodiscard]] TypeId text_type();

}  // namespace ldmpi::io::hdf5
