# face_cpu_kernels: everything on the CPU between pixels and networks, and networks and faces.
find_package(PkgConfig REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET GLOBAL libhwy)

add_library(face_cpu_kernels STATIC
  cpu/align.cpp cpu/decode.cpp cpu/interleave.cpp cpu/letterbox.cpp cpu/nms.cpp)
target_link_libraries(face_cpu_kernels PUBLIC face_math PRIVATE PkgConfig::HWY)
