# face_cpu_conv: convolutions from one source, compiled once per instruction set.
find_package(OpenMP REQUIRED COMPONENTS CXX)

add_library(face_cpu_conv STATIC
  cpu/conv_depthwise.cpp cpu/conv_direct.cpp cpu/conv_dispatch.cpp cpu/conv_layer.cpp
  cpu/conv_openmp.cpp cpu/conv_winograd.cpp)
target_link_libraries(face_cpu_conv PUBLIC face_options PRIVATE OpenMP::OpenMP_CXX)

# face_conv_isa(NAME lanes flags...): conv_isa.cpp in namespace isa_NAME with these flags.
function(face_conv_isa name width)
  set(level -O3)
  if(FACE_SANITIZE)
    set(level -O1)  # minutes of compilation otherwise
  endif()
  add_library(face_cpu_conv_${name} OBJECT cpu/conv_isa.cpp)
  target_link_libraries(face_cpu_conv_${name} PRIVATE face_options)
  target_compile_definitions(face_cpu_conv_${name} PRIVATE
    FACE_CONV_ISA=isa_${name} FACE_CONV_TABLE=conv_kernels_${name} FACE_CONV_WIDTH=${width})
  target_compile_options(face_cpu_conv_${name} PRIVATE
    ${level} -ffp-contract=fast -fno-math-errno -fno-trapping-math $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>
    ${ARGN})
  target_sources(face_cpu_conv PRIVATE $<TARGET_OBJECTS:face_cpu_conv_${name}>)
endfunction()

face_conv_isa(baseline 4)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  face_conv_isa(avx2 8 -mavx2 -mfma)
  face_conv_isa(avx512 16 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
                -mprefer-vector-width=512)
  face_conv_isa(wide16 16 -mavx2 -mfma)
endif()
