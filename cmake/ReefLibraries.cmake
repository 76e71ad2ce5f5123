# The libraries from the system, each found once, under one target name.

find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto SSL)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(libevent REQUIRED IMPORTED_TARGET libevent>=2.1 libevent_pthreads)
pkg_check_modules(libcurl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(cares REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(lmdb REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

# The allocator of the programs that serve. A miss allocates a few dozen times and frees in another order and,
# for what goes to disk, on another thread: with the C library's it costs a fifth more. Sanitizers bring
# their own.
add_library(reef_allocator INTERFACE)
if(NOT REEF_SANITIZE)
  find_package(mimalloc 2.0 REQUIRED)
  target_link_libraries(reef_allocator INTERFACE mimalloc)
endif()

# Debian ships llhttp as C source with its header (package node-llhttp).
set(LLHTTP_SOURCE_DIR /usr/share/llhttp CACHE PATH "llhttp's C sources")
set(LLHTTP_INCLUDE_DIR /usr/share/include/llhttp CACHE PATH "llhttp's header")
add_library(llhttp STATIC
  ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c ${LLHTTP_SOURCE_DIR}/llhttp.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
target_compile_options(llhttp PRIVATE -w -O2)
