// BASE_CHECK(invariant): for our own mistakes only, never for input. Stays on in release; prints and aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

#define BASE_CHECK(invariant)                                                                       \
  do {                                                                                              \
    if (!(invariant)) [[unlikely]] {                                                                \
      std::fprintf(stderr, "%s:%d: invariant does not hold: %s\n", __FILE__, __LINE__, #invariant); \
      std::abort();                                                                                 \
    }                                                                                               \
  } while (false)
