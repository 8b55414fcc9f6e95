/* A simulation in C that keeps its latest time steps in a ring buffer, and compresses them at a checkpoint: so much of the
 * past that what led to an event can be looked at, for the price of little disk. Two vortices of a passive tracer, carried
 * round and mixed (semi-Lagrangian, bilinear).
 *
 *   ring_buffer FOLDER
 */
#include <fieldpress.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NY = 160, NX = 200, KEPT = 12, STEPS = 100, CHECKPOINT_EVERY = 45 };

static const double tolerance = 1e-3;

/* The latest KEPT steps; the newest is at newest, the one after it is the oldest. */
static float ring[KEPT][NY][NX];
static int newest = -1, filled = 0;

static int fail(const char *what)
{
  fprintf(stderr, "ring_buffer: %s: %s\n", what, fieldpress_last_error());
  return 1;
}

static float at(float (*c)[NX], int y, int x)
{
  y = y < 0 ? 0 : y >= NY ? NY - 1 : y;
  return c[y][(x + NX) % NX];
}

static void step(float (*from)[NX], float (*to)[NX], int t)
{
  for (int y = 0; y < NY; y++)
    for (int x = 0; x < NX; x++) {
      double u = 0.8, v = 0;
      for (int vortex = 0; vortex < 2; vortex++) {
        double dx = x - (NX * (1 + vortex) / 3.0 + 4 * sin(0.05 * t)), dy = y - NY / 2.0;
        double turn = (vortex ? -3.2 : 3.2) * exp(-(dx * dx + dy * dy) / 900);
        u -= turn * dy / 30;
        v += turn * dx / 30;
      }
      double px = x - u, py = y - v, fx = px - floor(px), fy = py - floor(py);
      int ix = (int)floor(px), iy = (int)floor(py);
      to[y][x] = (float)((1 - fy) * ((1 - fx) * at(from, iy, ix) + fx * at(from, iy, ix + 1)) +
                         fy * ((1 - fx) * at(from, iy + 1, ix) + fx * at(from, iy + 1, ix + 1)));
    }
}

/* Compresses the ring, oldest step first, into a file. */
static int checkpoint(const fieldpress_handle *handle, const char *path, size_t *bytes)
{
  fieldpress_field field = {0};
  field.dtype = FIELDPRESS_F32;
  field.ndim = 2;
  field.dims[0] = NY;
  field.dims[1] = NX;

  /* The window is the ring's length, so that the checkpoint is one stream, however full the ring is. */
  fieldpress_stream *stream;
  if (fieldpress_stream_create(handle, &field, KEPT, FIELDPRESS_BOUND_ABS, tolerance, &stream) != FIELDPRESS_OK)
    return fail("stream_create");
  size_t room;
  fieldpress_stream_bound(stream, &room);
  void *buffer = malloc(room);
  *bytes = 0;
  for (int i = 0; i < filled && *bytes == 0; i++) {
    field.data = ring[(newest + 1 + KEPT - filled + i) % KEPT];
    *bytes = room;
    if (fieldpress_stream_push(stream, &field, buffer, bytes, NULL) != FIELDPRESS_OK)
      return fail("stream_push");
  }
  if (*bytes == 0) {
    *bytes = room;
    if (fieldpress_stream_flush(stream, buffer, bytes, NULL) != FIELDPRESS_OK)
      return fail("stream_flush");
  }
  fieldpress_stream_destroy(stream);

  FILE *file = fopen(path, "wb");
  int failed = file == NULL || fwrite(buffer, 1, *bytes, file) != *bytes || fclose(file) != 0;
  free(buffer);
  if (failed)
    perror(path);
  return failed;
}

/* Reads a checkpoint back, and compares it with the ring. */
static int compare(const fieldpress_handle *handle, const char *path, size_t bytes)
{
  void *stream = malloc(bytes);
  FILE *file = fopen(path, "rb");
  if (file == NULL || fread(stream, 1, bytes, file) != bytes)
    return fail(path);
  fclose(file);
  static float decoded[KEPT][NY][NX];
  fieldpress_field field = {0};
  field.data = decoded;
  field.dtype = FIELDPRESS_F32;
  field.ndim = 3;
  field.dims[0] = (size_t)filled;
  field.dims[1] = NY;
  field.dims[2] = NX;
  if (fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL) != FIELDPRESS_OK)
    return fail("decompress");
  free(stream);
  double largest = 0;
  for (int i = 0; i < filled; i++) {
    float (*original)[NX] = ring[(newest + 1 + KEPT - filled + i) % KEPT];
    for (int y = 0; y < NY; y++)
      for (int x = 0; x < NX; x++)
        largest = fmax(largest, fabs((double)original[y][x] - (double)decoded[i][y][x]));
  }
  printf("%s: %d steps, %.1f times smaller, largest error %.2g\n", path, filled,
         (double)filled * NY * NX * sizeof(float) / (double)bytes, largest);
  return largest > tolerance;
}

int main(int argc, char **argv)
{
  if (argc != 2) {
    fputs("a folder is needed: ring_buffer FOLDER\n", stderr);
    return 1;
  }
  fieldpress_handle *handle;
  if (fieldpress_create("", &handle) != FIELDPRESS_OK)
    return fail("create");

  static float tracer[NY][NX];
  for (int y = 0; y < NY; y++)
    for (int x = 0; x < NX; x++)
      tracer[y][x] = (float)(0.5 + 0.5 * sin(0.09 * y) * cos(2 * 3.14159265358979 * 3 * x / NX));

  for (int t = 1; t <= STEPS; t++) {
    int next = (newest + 1) % KEPT;
    step(newest < 0 ? tracer : ring[newest], ring[next], t);
    newest = next;
    filled = filled < KEPT ? filled + 1 : KEPT;
    /* The first checkpoint comes before the ring is full. */
    if (t == 5 || t % CHECKPOINT_EVERY == 0) {
      char path[4096];
      size_t bytes;
      snprintf(path, sizeof path, "%s/tracer.%04d.fp", argv[1], t);
      if (checkpoint(handle, path, &bytes) || compare(handle, path, bytes))
        return 1;
      /* What the ring held, oldest first, for the picture. */
      snprintf(path, sizeof path, "%s/tracer.%04d.f32", argv[1], t);
      FILE *file = fopen(path, "wb");
      for (int i = 0; file != NULL && i < filled; i++)
        fwrite(ring[(newest + 1 + KEPT - filled + i) % KEPT], sizeof ring[0], 1, file);
      if (file == NULL || fclose(file) != 0)
        return 1;
    }
  }
  fieldpress_destroy(handle);
  return 0;
}
