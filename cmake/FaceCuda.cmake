# FACE_USE_CUDA: whether the CUDA engine is compiled.
#   FACE_CUDA=ON    compile it; nvcc is required
#   FACE_CUDA=AUTO  compile it where nvcc and a GPU are found
#   FACE_CUDA=OFF   do not
# CMAKE_CUDA_COMPILER, CMAKE_CUDA_HOST_COMPILER: as for CMake; default: the nvcc that is found.
# FACE_CUDA_ARCHITECTURES: as for CMake, or "release": all that a release made with this nvcc has.
# "native" where a GPU is found, else "release".
set(FACE_USE_CUDA OFF)
if(FACE_CUDA AND NOT CMAKE_CUDA_COMPILER)
  find_program(FACE_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(FACE_NVCC)
    set(CMAKE_CUDA_COMPILER ${FACE_NVCC})
  endif()
endif()
if(FACE_CUDA STREQUAL "AUTO")
  if(CMAKE_CUDA_COMPILER AND EXISTS /dev/nvidia0)
    set(FACE_USE_CUDA ON)
  endif()
elseif(FACE_CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "FACE_CUDA=ON, but nvcc was not found: install the CUDA toolkit or add "
                        "its bin folder to PATH")
  endif()
  set(FACE_USE_CUDA ON)
endif()

if(FACE_USE_CUDA)
  if(EXISTS /dev/nvidia0)
    set(default_architectures native)
  else()
    set(default_architectures release)
  endif()
  set(FACE_CUDA_ARCHITECTURES "${default_architectures}" CACHE STRING "GPU architectures")
  if(FACE_CUDA_ARCHITECTURES STREQUAL "release")
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE nvcc_version)
    if(nvcc_version MATCHES "release 1[12]\\.")
      set(FACE_CUDA_ARCHITECTURES 61-real 70-real 75-real 80-real 86-real 89-real 90)
    else()
      set(FACE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
    endif()
  endif()
  message(STATUS "GPU architectures: ${FACE_CUDA_ARCHITECTURES}")
  set(CMAKE_CUDA_ARCHITECTURES ${FACE_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  # All is linked by the C++ compiler: of nvcc's own it must not find the standard library.
  set(CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES})
  find_package(CUDAToolkit REQUIRED)
endif()
message(STATUS "CUDA engine: ${FACE_USE_CUDA}")
