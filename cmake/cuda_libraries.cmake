# cuDNN, NCCL and cudnn-frontend: they come without CMake packages, from the machine or from the vendor's Python wheels.
# Hints: CUDNN_ROOT, NCCL_ROOT, CUDNN_FRONTEND_ROOT, and folders on CMAKE_PREFIX_PATH. What is missing or too old is left in
# LDMPI_CUDA_MISSING, a sentence each.
set(LDMPI_CUDA_MISSING "")

# ldmpi_vendor_library(NAME file header version_header least): finds one and sets NAME_INCLUDE_DIR, NAME_LIBRARY (unless
# `file` is empty) and NAME_VERSION; the version header has NAME_MAJOR or NAME_MAJOR_VERSION, and so on.
macro(ldmpi_vendor_library name file header version_header least)
  find_path(${name}_INCLUDE_DIR ${header} HINTS ${${name}_ROOT} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  set(found ${${name}_INCLUDE_DIR})
  if(NOT "${file}" STREQUAL "")
    find_library(${name}_LIBRARY NAMES ${file} HINTS ${${name}_ROOT} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
    if(NOT ${name}_LIBRARY)
      set(found "")
    endif()
  endif()
  set(${name}_VERSION none)
  if(found)
    file(STRINGS ${found}/${version_header} lines REGEX "define ${name}_(MAJOR|MINOR|PATCH|PATCHLEVEL)(_VERSION)? +[0-9]")
    string(REGEX REPLACE "[^;]*_(MAJOR|MINOR|PATCH|PATCHLEVEL)(_VERSION)? +([0-9]+)[^;]*" "\\3" numbers "${lines}")
    string(REPLACE ";" "." ${name}_VERSION "${numbers}")
  endif()
  if(NOT found OR ${name}_VERSION VERSION_LESS ${least})
    list(APPEND LDMPI_CUDA_MISSING "${name}: found ${${name}_VERSION}, needed ${least} or newer")
  endif()
endmacro()

ldmpi_vendor_library(CUDNN cudnn cudnn_version.h cudnn_version.h 9.8)
ldmpi_vendor_library(NCCL nccl nccl.h nccl.h 2.20)
# 1.13 is the first that builds graphs for a GPU that is not there.
ldmpi_vendor_library(CUDNN_FRONTEND "" cudnn_frontend.h cudnn_frontend_version.h 1.13)
