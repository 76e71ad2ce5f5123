# What every target of the project shares: language, warnings, sanitizers; and how a folder adds its tests.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Linked by every target of ours (not by third-party code).
add_library(reef_flags INTERFACE)
target_include_directories(reef_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(reef_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Woverloaded-virtual
  $<$<BOOL:${REEF_WERROR}>:-Werror>)
target_link_libraries(reef_flags INTERFACE Threads::Threads)

if(REEF_SANITIZE)
  add_compile_options(-fsanitize=${REEF_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${REEF_SANITIZE})
endif()

# reef_test(NAME SOURCES... LINKS...): one doctest program per folder, registered with ctest under NAME.
function(reef_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE reef_flags reef_test_main ${ARG_LINKS})
  add_test(NAME ${name} COMMAND ${name} --no-version)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

# reef_fuzz(NAME SOURCES... LINKS...): one libFuzzer target; its corpus is tests/fuzz/corpus/NAME.
function(reef_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE reef_flags ${ARG_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
