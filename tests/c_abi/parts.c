/* Parts of a field: boxes at full resolution are the same values as in the whole, reduced scales have the announced sizes and
   are near the block averages. */

#include "check.h"

enum { NT = 20, NY = 70, NX = 101 };

static float original[NT][NY][NX], whole[NT][NY][NX];

static fieldpress_request request_of(uint32_t scale)
{
  fieldpress_request request;
  memset(&request, 0, sizeof request);
  request.size = sizeof request;
  request.scale = scale;
  return request;
}

static void box(fieldpress_handle *handle, const void *stream, size_t bytes, const size_t start[3], const size_t count[3])
{
  fieldpress_request request = request_of(1);
  request.ndim = 3;
  for (int axis = 0; axis < 3; axis++) {
    request.start[axis] = start[axis];
    request.count[axis] = count[axis];
  }
  uint32_t ndim;
  size_t dims[FIELDPRESS_MAX_DIMS];
  OK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims));
  CHECK(ndim == 3 && dims[0] == count[0] && dims[1] == count[1] && dims[2] == count[2] && dims[3] == 1);

  float *part = malloc(dims[0] * dims[1] * dims[2] * sizeof *part);
  fieldpress_field field = field_3d(part, FIELDPRESS_F32, dims[0], dims[1], dims[2]);
  OK(fieldpress_decompress(handle, stream, bytes, &request, &field, NULL));
  const float *value = part;
  for (size_t t = start[0]; t < start[0] + count[0]; t++)
    for (size_t y = start[1]; y < start[1] + count[1]; y++)
      for (size_t x = start[2]; x < start[2] + count[2]; x++)
        CHECK(*value++ == whole[t][y][x]);
  free(part);
}

static void reduced(fieldpress_handle *handle, const void *stream, size_t bytes, size_t scale)
{
  fieldpress_request request = request_of((uint32_t)scale);
  uint32_t ndim;
  size_t dims[FIELDPRESS_MAX_DIMS];
  OK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims));
  CHECK(ndim == 3 && dims[0] == NT && dims[1] == (NY + scale - 1) / scale && dims[2] == (NX + scale - 1) / scale);

  float *part = malloc(dims[0] * dims[1] * dims[2] * sizeof *part);
  fieldpress_field field = field_3d(part, FIELDPRESS_F32, dims[0], dims[1], dims[2]);
  OK(fieldpress_decompress(handle, stream, bytes, &request, &field, NULL));
  double squares = 0;
  for (size_t t = 0; t < dims[0]; t++)
    for (size_t y = 0; y < dims[1]; y++)
      for (size_t x = 0; x < dims[2]; x++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = y * scale; i < (y + 1) * scale && i < NY; i++)
          for (size_t j = x * scale; j < (x + 1) * scale && j < NX; j++, n++)
            sum += original[t][i][j];
        double error = part[(t * dims[1] + y) * dims[2] + x] - sum / (double)n;
        squares += error * error;
      }
  CHECK(sqrt(squares / (double)(dims[0] * dims[1] * dims[2])) < 1.0); /* a tenth of the wave's range */
  free(part);
}

int main(void)
{
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < NY; y++)
      for (size_t x = 0; x < NX; x++)
        original[t][y][x] = (float)wave(t, y, x, 2);

  fieldpress_handle *handle;
  OK(fieldpress_create("threads=1;fm=off", &handle));
  fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
  size_t bytes;
  void *stream = compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, &bytes);
  field.data = whole;
  OK(fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL));

  box(handle, stream, bytes, (size_t[]){0, 0, 0}, (size_t[]){NT, NY, NX});
  box(handle, stream, bytes, (size_t[]){9, 13, 40}, (size_t[]){5, 20, 61});
  box(handle, stream, bytes, (size_t[]){NT - 1, NY - 1, NX - 1}, (size_t[]){1, 1, 1});
  reduced(handle, stream, bytes, 1);
  reduced(handle, stream, bytes, 2);
  reduced(handle, stream, bytes, 4);

  /* Boxes and scales that do not exist. */
  uint32_t ndim;
  size_t dims[FIELDPRESS_MAX_DIMS];
  fieldpress_request request = request_of(3);
  CHECK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims) == FIELDPRESS_INVALID_ARGUMENT);
  request = request_of(1);
  request.ndim = 3;
  request.start[0] = (size_t)-1;
  request.count[0] = 2;
  request.count[1] = request.count[2] = 1;
  CHECK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims) == FIELDPRESS_INVALID_ARGUMENT);
  request.ndim = 2;
  request.start[0] = 0;
  CHECK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims) == FIELDPRESS_INVALID_ARGUMENT);
  request.ndim = 77;
  CHECK(fieldpress_output_dims(stream, bytes, &request, &ndim, dims) == FIELDPRESS_INVALID_ARGUMENT);

  free(stream);
  fieldpress_destroy(handle);
  return 0;
}
