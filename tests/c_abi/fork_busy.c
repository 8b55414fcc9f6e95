/* A process forks while its other threads make handles and open models: whatever they hold, a handle works in the
 * child, or says that it does not. */

#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NT = 12, NY = 64, NX = 64, CHILDREN = 40 };

/* Set once, and looked at again and again: later is early enough. */
static volatile int over;
static float original[NT * NY * NX];

static void *make_handles(void *unused)
{
  (void)unused;
  while (!over) {
    fieldpress_handle *handle;
    OK(fieldpress_create("fm=off;threads=2", &handle));
    fieldpress_destroy(handle);
  }
  return NULL;
}

/* Each number of threads is another model, which is opened anew. */
static void *open_models(void *unused)
{
  (void)unused;
  for (int threads = 2; !over && threads < 20; threads++) {
    char options[64];
    snprintf(options, sizeof options, "threads=%d", threads);
    fieldpress_handle *handle;
    OK(fieldpress_create(options, &handle));
    fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
    size_t bytes;
    free(compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-2, &bytes));
    fieldpress_destroy(handle);
  }
  return NULL;
}

static int fine(int status)
{
  return status == FIELDPRESS_OK || (status == FIELDPRESS_RUNTIME && strstr(fieldpress_last_error(), "forked") != NULL);
}

static void use_in_child(fieldpress_handle *handle, const void *stream, size_t bytes)
{
  alarm(60);
  fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
  size_t room;
  OK(fieldpress_compress_bound(&field, &room));
  void *again = malloc(room);
  CHECK(again != NULL);
  CHECK(fine(fieldpress_compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, again, &room, NULL)));
  CHECK(fine(fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL)));
  fieldpress_handle *other;
  const int made = fieldpress_create("threads=3", &other);
  CHECK(fine(made));
  if (made == FIELDPRESS_OK)
    CHECK(fine(fieldpress_decompress(other, stream, bytes, NULL, &field, NULL)));
  _exit(0);
}

int main(void)
{
  for (size_t i = 0; i < NT * NY * NX; i++)
    original[i] = (float)wave(i / (NY * NX), i / NX % NY, i % NX, 1);
  fieldpress_handle *handle;
  OK(fieldpress_create("threads=1", &handle));
  fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
  size_t bytes;
  void *stream = compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, &bytes);
  pthread_t threads[2];
  CHECK(pthread_create(&threads[0], NULL, make_handles, NULL) == 0);
  CHECK(pthread_create(&threads[1], NULL, open_models, NULL) == 0);
  for (int k = 0; k < CHILDREN; k++) {
    nanosleep(&(struct timespec){0, 1000000L * (k % 17)}, NULL);
    fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
      use_in_child(handle, stream, bytes);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  over = 1;
  for (int k = 0; k < 2; k++)
    pthread_join(threads[k], NULL);
  free(stream);
  fieldpress_destroy(handle);
  return 0;
}
