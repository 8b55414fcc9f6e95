/* Time steps one by one: windows equal what compressing them at once gives, and every misuse is a status. */

#include "check.h"

enum { NY = 33, NX = 48, WINDOW = 4, STEPS = 10, HALO = 2 };

static float all[STEPS][NY][NX], haloed[NY + 2 * HALO][NX + 2 * HALO];

static void set_step(int t)
{
  for (size_t y = 0; y < NY; y++)
    for (size_t x = 0; x < NX; x++)
      haloed[y + HALO][x + HALO] = all[t][y][x] = (float)wave((size_t)t, y, x, 3);
}

int main(void)
{
  fieldpress_handle *handle;
  OK(fieldpress_create("threads=1;fm=off", &handle));

  fieldpress_field step;
  memset(&step, 0, sizeof step);
  step.dtype = FIELDPRESS_F32;
  step.ndim = 2;
  step.dims[0] = NY;
  step.dims[1] = NX;

  fieldpress_stream *stream;
  const int32_t abs = FIELDPRESS_BOUND_ABS;
  CHECK(fieldpress_stream_create(NULL, &step, WINDOW, abs, 0.01, &stream) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(stream == NULL);
  CHECK(fieldpress_stream_create(handle, &step, WINDOW, abs, -1, &stream) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_stream_create(handle, &step, (size_t)-1, abs, 0.01, &stream) == FIELDPRESS_INVALID_ARGUMENT);
  OK(fieldpress_stream_create(handle, &step, WINDOW, abs, 0.01, &stream));

  size_t room, bytes;
  OK(fieldpress_stream_bound(stream, &room));
  unsigned char *buffer = malloc(room), *expected = malloc(room);
  CHECK(buffer != NULL && expected != NULL);

  /* The interior of an array with halo cells. */
  step.data = &haloed[HALO][HALO];
  step.strides[0] = NX + 2 * HALO;
  step.strides[1] = 1;

  /* A buffer that is too small for a window is refused before the step is taken. */
  bytes = 100;
  CHECK(fieldpress_stream_push(stream, &step, buffer, &bytes, NULL) == FIELDPRESS_BUFFER_TOO_SMALL && bytes == room);
  CHECK(fieldpress_stream_push(stream, &step, NULL, &bytes, NULL) == FIELDPRESS_INVALID_ARGUMENT);
  step.dims[0]--;
  CHECK(fieldpress_stream_push(stream, &step, buffer, &bytes, NULL) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(strstr(fieldpress_last_error(), "33x48") != NULL);
  step.dims[0]++;

  int first = 0;
  for (int t = 0; t <= STEPS; t++) {
    fieldpress_report report;
    memset(&report, 0, sizeof report);
    report.size = sizeof report;
    bytes = room;
    if (t < STEPS) {
      set_step(t);
      OK(fieldpress_stream_push(stream, &step, buffer, &bytes, &report));
    } else {
      fieldpress_destroy(handle); /* the stream lives on without it */
      OK(fieldpress_stream_flush(stream, buffer, &bytes, &report));
      OK(fieldpress_create("threads=1;fm=off", &handle));
    }
    CHECK(report.stream_bytes == bytes);
    if (t < STEPS && (t + 1) % WINDOW != 0) {
      CHECK(bytes == 0);
      continue;
    }
    fieldpress_field window = field_3d(all[first], FIELDPRESS_F32, (size_t)(t < STEPS ? WINDOW : STEPS % WINDOW), NY, NX);
    size_t same = room;
    OK(fieldpress_compress(handle, &window, abs, 0.01, expected, &same, NULL));
    CHECK(same == bytes && memcmp(buffer, expected, bytes) == 0);
    first += WINDOW;
  }
  bytes = room;
  OK(fieldpress_stream_flush(stream, buffer, &bytes, NULL));
  CHECK(bytes == 0);

  fieldpress_stream_destroy(stream);
  fieldpress_stream_destroy(NULL);
  fieldpress_destroy(handle);
  free(buffer);
  free(expected);
  return 0;
}
