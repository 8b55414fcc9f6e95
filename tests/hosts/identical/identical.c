/* Writes the stream of a raw field of 16x64x96 floats, as C makes it: identical FIELD STREAM */
#include <fieldpress.h>

#include <stdio.h>
#include <stdlib.h>

enum { NT = 16, NY = 64, NX = 96 };

int main(int argc, char **argv)
{
  static float values[NT][NY][NX];
  FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL || fread(values, sizeof values, 1, file) != 1)
    return 2;
  fclose(file);
  fieldpress_handle *handle;
  fieldpress_field field = {0};
  field.data = values;
  field.dtype = FIELDPRESS_F32;
  field.ndim = 3;
  field.dims[0] = NT;
  field.dims[1] = NY;
  field.dims[2] = NX;
  size_t bytes = sizeof values + 1024;
  void *stream = malloc(bytes);
  if (fieldpress_create("", &handle) != FIELDPRESS_OK ||
      fieldpress_compress(handle, &field, FIELDPRESS_BOUND_REL, 1e-3, stream, &bytes, NULL) != FIELDPRESS_OK) {
    puts(fieldpress_last_error());
    return 1;
  }
  fieldpress_destroy(handle);
  file = fopen(argv[2], "wb");
  if (file == NULL || fwrite(stream, 1, bytes, file) != bytes || fclose(file) != 0)
    return 2;
  free(stream);
  return 0;
}
