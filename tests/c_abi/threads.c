/* One handle, several threads, different fields and bounds at the same time; errors stay with their thread. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 3, NT = 8, NY = 40, NX = 56 };

static fieldpress_handle *handle;

static void *work(void *argument)
{
  int seed = (int)(size_t)argument;
  size_t len = (size_t)NT * NY * NX;
  float *original = malloc(len * sizeof *original), *decoded = malloc(len * sizeof *decoded);
  void *first = NULL;
  size_t first_bytes = 0;
  CHECK(strcmp(fieldpress_last_error(), "") == 0);
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < len; i++)
      original[i] = (float)wave(i / (NY * NX), i / NX % NY, i % NX, seed);
    double bound = 0.02 * (seed + 1);
    fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
    size_t bytes;
    void *stream = compress(handle, &field, FIELDPRESS_BOUND_ABS, bound, &bytes);
    field.data = decoded;
    OK(fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL));
    for (size_t i = 0; i < len; i++)
      CHECK(fabs((double)original[i] - (double)decoded[i]) <= bound);

    /* The same field gives the same bytes, whatever the others do. */
    if (first == NULL) {
      first = stream;
      first_bytes = bytes;
    } else {
      CHECK(bytes == first_bytes && memcmp(stream, first, bytes) == 0);
      free(stream);
    }

    char text[32];
    snprintf(text, sizeof text, "effort=thread %d", seed);
    fieldpress_handle *none;
    CHECK(fieldpress_create(text, &none) == FIELDPRESS_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "thread %d", seed);
    CHECK(strstr(fieldpress_last_error(), text) != NULL);
  }
  free(first);
  free(original);
  free(decoded);
  return NULL;
}

int main(void)
{
  OK(fieldpress_create("threads=2;fm=off", &handle));
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++)
    CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (size_t i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  fieldpress_destroy(handle);
  return 0;
}
