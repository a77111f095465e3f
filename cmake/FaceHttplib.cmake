# httplib::httplib: cpp-httplib >= 0.41, header only. An installed package of that age, else the
# pinned header that scripts/get_httplib.sh fetches (older ones are not fit for untrusted uploads).
find_package(httplib 0.41 CONFIG QUIET)
if(NOT TARGET httplib::httplib)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/get_httplib.sh
                  OUTPUT_VARIABLE FACE_HTTPLIB_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
                  RESULT_VARIABLE FACE_HTTPLIB_RESULT)
  if(NOT FACE_HTTPLIB_RESULT EQUAL 0)
    message(FATAL_ERROR "cpp-httplib 0.41 or newer is needed, see above")
  endif()
  add_library(face_httplib INTERFACE)
  target_include_directories(face_httplib SYSTEM INTERFACE ${FACE_HTTPLIB_DIR})
  add_library(httplib::httplib ALIAS face_httplib)
endif()
