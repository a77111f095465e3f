# face_options: include path, warnings and sanitizers shared by every target of the project.
find_program(CCACHE_PROGRAM ccache)
foreach(language CXX CUDA)
  if(CCACHE_PROGRAM AND NOT CMAKE_${language}_COMPILER_LAUNCHER)
    set(CMAKE_${language}_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  endif()
endforeach()

find_package(Threads REQUIRED)
add_library(face_options INTERFACE)
target_include_directories(face_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(
  face_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;$<$<BOOL:${FACE_WERROR}>:-Werror>>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${FACE_WERROR}>>:-Werror=all-warnings;-Xcompiler=-Werror>)
target_link_libraries(face_options INTERFACE Threads::Threads)
if(FACE_SANITIZE)
  target_compile_options(face_options INTERFACE -fsanitize=${FACE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # false alarms under -fsanitize, says gcc's manual
    target_compile_options(face_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(face_options INTERFACE -fsanitize=${FACE_SANITIZE})
endif()
