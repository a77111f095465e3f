# face_cpu_conv: convolutions from one source, compiled once per instruction set.
find_package(OpenMP REQUIRED COMPONENTS CXX)

add_library(face_cpu_conv STATIC
  cpu/conv_depthwise.cpp cpu/conv_direct.cpp cpu/conv_dispatch.cpp cpu/conv_layer.cpp
  cpu/conv_openmp.cpp cpu/conv_tile_layout.cpp cpu/conv_tiles.cpp cpu/conv_winograd.cpp)
target_link_libraries(face_cpu_conv PUBLIC face_options PRIVATE OpenMP::OpenMP_CXX)

# face_conv_isa(NAME lanes "sources" flags...): kernels in namespace isa_NAME with these flags.
function(face_conv_isa name width sources)
  set(level -O3)
  if(FACE_SANITIZE)
    set(level -O1)  # minutes of compilation otherwise
  endif()
  add_library(face_cpu_conv_${name} OBJECT ${sources})
  target_link_libraries(face_cpu_conv_${name} PRIVATE face_options)
  target_compile_definitions(face_cpu_conv_${name} PRIVATE
    FACE_CONV_ISA=isa_${name} FACE_CONV_WIDTH=${width}
    FACE_CONV_TABLE=conv_kernels_${name} FACE_CONV_BF16_TABLE=conv_bf16_kernels_${name}
    FACE_CONV_TILE_TABLE=conv_tile_kernels_${name})
  target_compile_options(face_cpu_conv_${name} PRIVATE
    ${level} -ffp-contract=fast -fno-math-errno -fno-trapping-math $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>
    ${ARGN})
  target_sources(face_cpu_conv PRIVATE $<TARGET_OBJECTS:face_cpu_conv_${name}>)
endfunction()

set(fp32 cpu/conv_isa.cpp)
set(bf16 cpu/conv_isa_bf16.cpp)
set(tiles cpu/conv_isa_tiles.cpp)
face_conv_isa(baseline 4 "${fp32};${bf16};${tiles}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(avx2 -mavx2 -mfma)
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
  face_conv_isa(avx2 8 ${fp32} ${avx2})
  face_conv_isa(avx512 16 ${fp32} ${avx512})
  face_conv_isa(avx512bf16 16 ${bf16} ${avx512} -mavx512bf16)
  face_conv_isa(amx 16 ${tiles} ${avx512} -mavx512bf16)
  target_compile_definitions(face_cpu_conv_amx PRIVATE FACE_CONV_AMX)
  face_conv_isa(wide16 16 "${fp32};${bf16};${tiles}" ${avx2})
endif()
