/* The interior of an array with halo cells, compressed and decompressed in place: what lies outside is neither coded nor
   changed. */

#include "check.h"

enum { NT = 9, NY = 33, NX = 47, HALO = 3, ROWS = NY + 2 * HALO, COLUMNS = NX + 2 * HALO };

static double array[NT][ROWS][COLUMNS], decoded[NT][ROWS][COLUMNS], compact[NT][NY][NX];

int main(void)
{
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < ROWS; y++)
      for (size_t x = 0; x < COLUMNS; x++) {
        int inside = y >= HALO && y < HALO + NY && x >= HALO && x < HALO + NX;
        array[t][y][x] = inside ? wave(t, y, x, 1) : 1e30; /* would ruin the range if it were coded */
        decoded[t][y][x] = -7.0;
        if (inside)
          compact[t][y - HALO][x - HALO] = array[t][y][x];
      }

  fieldpress_handle *handle;
  OK(fieldpress_create("threads=1;fm=off", &handle));

  fieldpress_field interior = field_3d(&array[0][HALO][HALO], FIELDPRESS_F64, NT, NY, NX);
  interior.strides[0] = (size_t)ROWS * COLUMNS;
  interior.strides[1] = COLUMNS;
  interior.strides[2] = 1;
  size_t bytes, compact_bytes;
  void *stream = compress(handle, &interior, FIELDPRESS_BOUND_REL, 1e-4, &bytes);

  /* The same values without gaps give the same stream. */
  fieldpress_field contiguous = field_3d(compact, FIELDPRESS_F64, NT, NY, NX);
  void *compact_stream = compress(handle, &contiguous, FIELDPRESS_BOUND_REL, 1e-4, &compact_bytes);
  CHECK(bytes == compact_bytes && memcmp(stream, compact_stream, bytes) == 0);

  interior.data = &decoded[0][HALO][HALO];
  OK(fieldpress_decompress(handle, stream, bytes, NULL, &interior, NULL));
  double low = INFINITY, high = -INFINITY;
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < NY; y++)
      for (size_t x = 0; x < NX; x++) {
        low = fmin(low, compact[t][y][x]);
        high = fmax(high, compact[t][y][x]);
      }
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < ROWS; y++)
      for (size_t x = 0; x < COLUMNS; x++) {
        int inside = y >= HALO && y < HALO + NY && x >= HALO && x < HALO + NX;
        if (inside)
          CHECK(fabs(decoded[t][y][x] - array[t][y][x]) <= 1e-4 * (high - low));
        else
          CHECK(decoded[t][y][x] == -7.0);
      }

  /* Output elements that overlap are refused. */
  interior.strides[0] = 1;
  CHECK(fieldpress_decompress(handle, stream, bytes, NULL, &interior, NULL) == FIELDPRESS_INVALID_ARGUMENT);

  free(stream);
  free(compact_stream);
  fieldpress_destroy(handle);
  return 0;
}
