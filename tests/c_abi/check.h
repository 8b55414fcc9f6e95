/* What the test programs share. */
#ifndef FIELDPRESS_TESTS_C_ABI_CHECK_H
#define FIELDPRESS_TESTS_C_ABI_CHECK_H

#include <fieldpress.h>

#include <math.h>
#include <string.h>

#define CHECK_NOTE fieldpress_last_error()
#include "../check.h"

#define OK(call) CHECK((call) == FIELDPRESS_OK)

/* A smooth wave with a little roughness, different for each seed. */
static inline double wave(size_t t, size_t y, size_t x, int seed)
{
  double rough = (double)((t * 7919 + y * 104729 + x * 1299709 + (size_t)seed * 15485863) % 1000) / 1000.0 - 0.5;
  return 20.0 + 5.0 * sin(0.11 * (double)x + 0.3 * (double)t + seed) * cos(0.07 * (double)y) + 0.05 * rough;
}

static inline fieldpress_field field_3d(void *data, int32_t dtype, size_t nt, size_t ny, size_t nx)
{
  fieldpress_field field;
  memset(&field, 0, sizeof field);
  field.data = data;
  field.dtype = dtype;
  field.ndim = 3;
  field.dims[0] = nt;
  field.dims[1] = ny;
  field.dims[2] = nx;
  return field;
}

/* Compresses into a buffer of the right size, which the caller frees. */
static inline void *compress(fieldpress_handle *handle, const fieldpress_field *field, int32_t kind, double value,
                             size_t *bytes)
{
  OK(fieldpress_compress_bound(field, bytes));
  void *stream = malloc(*bytes);
  CHECK(stream != NULL);
  OK(fieldpress_compress(handle, field, kind, value, stream, bytes, NULL));
  return stream;
}

#endif
