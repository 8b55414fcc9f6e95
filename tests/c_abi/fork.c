/* A handle that was used before a fork works in the child: threads do not survive one, and nothing may wait for them. */

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

/* Enough frames for three segments, which threads share. */
enum { NT = 260, NY = 32, NX = 32 };

int main(void)
{
  size_t len = (size_t)NT * NY * NX;
  float *original = malloc(len * sizeof *original);
  for (size_t i = 0; i < len; i++)
    original[i] = (float)wave(i / (NY * NX), i / NX % NY, i % NX, 1);
  fieldpress_handle *handle;
  OK(fieldpress_create("threads=2", &handle));
  fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
  size_t bytes;
  void *stream = compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, &bytes);

  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(60);
    size_t again;
    void *same = compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, &again);
    CHECK(again == bytes && memcmp(same, stream, bytes) == 0);
    OK(fieldpress_decompress(handle, same, again, NULL, &field, NULL));
    fieldpress_destroy(handle);
    /* As forked children should: what ONNX Runtime does at exit waits for the parent's threads. */
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  free(stream);
  free(original);
  fieldpress_destroy(handle);
  return 0;
}
