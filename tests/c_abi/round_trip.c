/* The life cycle on a page: compress a field under an error bound, look at the stream, decompress, check. */

#include <fieldpress.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NT = 16, NY = 60, NX = 90 };

static int fail(const char *what)
{
  printf("%s: %s\n", what, fieldpress_last_error());
  return 1;
}

int main(void)
{
  static float original[NT][NY][NX], decoded[NT][NY][NX];
  for (int t = 0; t < NT; t++)
    for (int y = 0; y < NY; y++)
      for (int x = 0; x < NX; x++)
        original[t][y][x] = (float)(280.0 + 10.0 * sin(0.1 * x + 0.2 * t) * cos(0.05 * y));

  fieldpress_handle *handle;
  if (fieldpress_create("threads=1;fm=off", &handle) != FIELDPRESS_OK)
    return fail("create");

  /* Describe the field: where it is, its type, its sizes (slowest first). */
  fieldpress_field field = {0};
  field.data = original;
  field.dtype = FIELDPRESS_F32;
  field.ndim = 3;
  field.dims[0] = NT;
  field.dims[1] = NY;
  field.dims[2] = NX;

  /* A buffer that is large enough for any outcome. */
  size_t bytes;
  if (fieldpress_compress_bound(&field, &bytes) != FIELDPRESS_OK)
    return fail("compress_bound");
  void *stream = malloc(bytes);

  /* Every value within 0.01 of the original, in the field's units. */
  const double tolerance = 0.01;
  fieldpress_report report = {0};
  report.size = sizeof report;
  if (fieldpress_compress(handle, &field, FIELDPRESS_BOUND_ABS, tolerance, stream, &bytes, &report) != FIELDPRESS_OK)
    return fail("compress");
  printf("%zu bytes of %zu, largest error %g\n", bytes, sizeof original, report.max_abs_error);

  /* The stream describes itself. */
  fieldpress_info info = {0};
  info.size = sizeof info;
  if (fieldpress_inspect(stream, bytes, &info) != FIELDPRESS_OK)
    return fail("inspect");
  if (info.dtype != FIELDPRESS_F32 || info.ndim != 3 || info.dims[0] != NT || info.dims[1] != NY || info.dims[2] != NX)
    return fail("the header differs from the field");
  if (info.bound_kind != FIELDPRESS_BOUND_ABS || info.bound_value != tolerance || info.max_abs_error > tolerance)
    return fail("the header differs from the bound");

  field.data = decoded;
  if (fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL) != FIELDPRESS_OK)
    return fail("decompress");

  double largest = 0;
  for (int t = 0; t < NT; t++)
    for (int y = 0; y < NY; y++)
      for (int x = 0; x < NX; x++)
        largest = fmax(largest, fabs((double)original[t][y][x] - (double)decoded[t][y][x]));
  if (largest > tolerance || largest > report.max_abs_error)
    return fail("the error is larger than promised");
  if (report.stream_bytes != bytes || report.input_bytes != sizeof original || bytes > sizeof original / 4)
    return fail("the report's sizes are wrong");

  free(stream);
  fieldpress_destroy(handle);
  return 0;
}
