# The CUDA backend: LDMPI_CUDA=ON needs nvcc, AUTO takes it where it is found, OFF leaves it out. To be included behind
# src/. The list of kernel sources is here because the op tests compile them for the CPU too, with or without nvcc.
set(LDMPI_CUDA_DIR ${PROJECT_SOURCE_DIR}/src/backend/cuda)
file(GLOB LDMPI_CUDA_KERNELS CONFIGURE_DEPENDS ${LDMPI_CUDA_DIR}/*.cu)

if(NOT LDMPI_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    if(LDMPI_CUDA STREQUAL "ON")
      message(FATAL_ERROR "LDMPI_CUDA=ON, but no nvcc found: put the CUDA Toolkit (12.8 or newer) on PATH, or give "
                          "-DCMAKE_CUDA_COMPILER=/path/to/nvcc, or -DLDMPI_CUDA=OFF")
    endif()
    message(STATUS "no nvcc: without the CUDA backend")
  else()
    set(LDMPI_CUDA_ARCHITECTURES "90a-real" CACHE STRING "GPU architectures, e.g. 80-real;90a-real;100-real;120-real")
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES ${LDMPI_CUDA_ARCHITECTURES})
    endif()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
      message(FATAL_ERROR "CUDA Toolkit ${CMAKE_CUDA_COMPILER_VERSION} found, 12.8 or newer needed; or -DLDMPI_CUDA=OFF")
    endif()
    # CMake 3.25 does not know how a newer nvcc is told C++20.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
      list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    find_package(CUDAToolkit 12.8 REQUIRED)

    # Not ldmpi_options: nvcc passes its host compiler generated code, which -Wpedantic does not like.
    add_library(ldmpi_cuda_options INTERFACE)
    target_include_directories(ldmpi_cuda_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${LDMPI_CUDA_DIR}/platform)
    target_compile_options(ldmpi_cuda_options INTERFACE
      "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-DFMT_USE_CONSTEXPR=1;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror;-lineinfo>"
      $<$<COMPILE_LANGUAGE:CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wpedantic$<SEMICOLON>-Wshadow$<SEMICOLON>-Werror>)
    add_subdirectory(${LDMPI_CUDA_DIR})
  endif()
endif()
