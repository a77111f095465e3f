# FACE_USE_ISAL: whether ISA-L inflates PNG's picture data, else zlib does.
#   FACE_ISAL=ON    ISA-L is required
#   FACE_ISAL=AUTO  where there is one without known errors
#   FACE_ISAL=OFF   zlib
# Up to 2.31 it inflates to wrong data on 64-bit ARM at times (github.com/intel/isa-l/issues/316).
set(FACE_USE_ISAL OFF)
if(FACE_ISAL)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(ISAL IMPORTED_TARGET GLOBAL libisal)
  if(ISAL_FOUND AND (CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64"
                     OR ISAL_VERSION VERSION_GREATER_EQUAL 2.32))
    set(FACE_USE_ISAL ON)
  elseif(NOT FACE_ISAL STREQUAL "AUTO")
    message(FATAL_ERROR "FACE_ISAL=ON, but no ISA-L was found that can be used: install libisal-dev")
  endif()
endif()
message(STATUS "ISA-L for PNG: ${FACE_USE_ISAL}")
