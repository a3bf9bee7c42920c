# The CUDA backend: LDMPI_CUDA=ON needs nvcc, AUTO takes it where it is found, OFF leaves it out. To be included behind
# src/. The list of kernel sources is here because the op tests compile them for the CPU too, with or without nvcc.
set(LDMPI_CUDA_DIR ${PROJECT_SOURCE_DIR}/src/backend/cuda)
file(GLOB LDMPI_CUDA_KERNELS CONFIGURE_DEPENDS ${LDMPI_CUDA_DIR}/*.cu)

# The plugin is left out, with the reason in the summary; an error where it was asked for.
function(ldmpi_no_cuda reason)
  if(LDMPI_CUDA STREQUAL "ON")
    message(FATAL_ERROR "LDMPI_CUDA=ON, but ${reason}. job_scripts/bootstrap.sh --cuda installs what is missing; "
                        "-DLDMPI_CUDA=OFF builds without")
  endif()
  set(LDMPI_WHY_NO_CUDA "${reason}" PARENT_SCOPE)
endfunction()

set(LDMPI_HAS_CUDA OFF)
if(LDMPI_CUDA STREQUAL "OFF")
  set(LDMPI_WHY_NO_CUDA "LDMPI_CUDA=OFF")
  return()
endif()
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  ldmpi_no_cuda("no nvcc was found: put the CUDA Toolkit (12.8 or newer) on PATH or give -DCMAKE_CUDA_COMPILER=")
  return()
endif()
set(LDMPI_CUDA_ARCHITECTURES "90a-real" CACHE STRING
    "GPU architectures; all supported ones: 80-real;90a-real;100-real;120-real;80-virtual")
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${LDMPI_CUDA_ARCHITECTURES})
endif()
enable_language(CUDA)
# CMake 3.25 does not know how a newer nvcc is told C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  ldmpi_no_cuda("the CUDA Toolkit found is ${CMAKE_CUDA_COMPILER_VERSION}; 12.8 or newer is needed")
  return()
endif()
find_package(CUDAToolkit 12.8 REQUIRED)
include(cuda_libraries)
if(LDMPI_CUDA_MISSING)
  list(JOIN LDMPI_CUDA_MISSING "; " missing)
  ldmpi_no_cuda("${missing}")
  return()
endif()

# Not ldmpi_options: nvcc passes its host compiler generated code, which -Wpedantic does not like.
add_library(ldmpi_cuda_options INTERFACE)
target_include_directories(ldmpi_cuda_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${LDMPI_CUDA_DIR}/platform)
target_include_directories(ldmpi_cuda_options SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR}
                           ${NCCL_INCLUDE_DIR} ${CUDNN_FRONTEND_INCLUDE_DIR})
target_compile_options(ldmpi_cuda_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-DFMT_USE_CONSTEXPR=1;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror;-lineinfo>"
  $<$<COMPILE_LANGUAGE:CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wpedantic$<SEMICOLON>-Wshadow$<SEMICOLON>-Werror>)
add_subdirectory(${LDMPI_CUDA_DIR})
set(LDMPI_HAS_CUDA ON)
