/* Everything that a caller can get wrong is a status and a sentence, never a crash and never output. */

#include "check.h"

enum { NT = 8, NY = 24, NX = 30 };

static double values[NT][NY][NX], decoded[NT][NY][NX];

/* The last call must have failed so, and said something about it. */
static void expect_(fieldpress_status status, fieldpress_status expected, const char *word, int line)
{
  if (status != expected || strstr(fieldpress_last_error(), word) == NULL) {
    printf("line %d: status %d (%s), expected %d; message '%s', expected a word on '%s'\n", line, (int)status,
           fieldpress_status_name(status), (int)expected, fieldpress_last_error(), word);
    exit(1);
  }
}
#define EXPECT(call, status, word) expect_(call, status, word, __LINE__)
#define INVALID FIELDPRESS_INVALID_ARGUMENT

static void creating(void)
{
  fieldpress_handle *handle = (fieldpress_handle *)&values;
  EXPECT(fieldpress_create("", NULL), INVALID, "handle");
  EXPECT(fieldpress_create("effort=7", &handle), INVALID, "effort");
  CHECK(handle == NULL);
  EXPECT(fieldpress_create("no such=1", &handle), INVALID, "no such");
  EXPECT(fieldpress_create("threads", &handle), INVALID, "key=value");
  EXPECT(fieldpress_create("model=\xff\xfe", &handle), INVALID, "UTF-8");
  OK(fieldpress_create(NULL, &handle));
  fieldpress_destroy(handle);
  fieldpress_destroy(NULL);
}

static void compressing(fieldpress_handle *handle)
{
  fieldpress_field good = field_3d(values, FIELDPRESS_F64, NT, NY, NX), bad;
  static unsigned char buffer[sizeof values + 4096];
  size_t bytes = sizeof buffer;
  const int32_t abs = FIELDPRESS_BOUND_ABS;

  EXPECT(fieldpress_compress(NULL, &good, abs, 0.1, buffer, &bytes, NULL), INVALID, "handle");
  EXPECT(fieldpress_compress(handle, NULL, abs, 0.1, buffer, &bytes, NULL), INVALID, "field");
  EXPECT(fieldpress_compress(handle, &good, abs, 0.1, NULL, &bytes, NULL), INVALID, "buffer");
  EXPECT(fieldpress_compress(handle, &good, abs, 0.1, buffer, NULL, NULL), INVALID, "bytes");
  EXPECT(fieldpress_compress(handle, &good, 0, 0.1, buffer, &bytes, NULL), INVALID, "bound kind");
  EXPECT(fieldpress_compress(handle, &good, 1000, 0.1, buffer, &bytes, NULL), INVALID, "1000");
  EXPECT(fieldpress_compress(handle, &good, abs, -1.0, buffer, &bytes, NULL), INVALID, "abs");
  EXPECT(fieldpress_compress(handle, &good, abs, NAN, buffer, &bytes, NULL), INVALID, "finite");
  EXPECT(fieldpress_compress(handle, &good, FIELDPRESS_BOUND_RATIO, 0.5, buffer, &bytes, NULL), INVALID, "from 1 on");
  EXPECT(fieldpress_compress(handle, &good, FIELDPRESS_BOUND_RATIO, 1e9, buffer, &bytes, NULL), INVALID, "cannot be had");
  fieldpress_stream *steps;
  EXPECT(fieldpress_stream_create(handle, &good, 4, FIELDPRESS_BOUND_RATIO, 10, &steps), INVALID, "a ratio is no bound");
  CHECK(bytes == sizeof buffer);

  bad = good, bad.data = NULL;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "null");
  bad = good, bad.data = (char *)bad.data + 4;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "aligned");
  bad = good, bad.dtype = 3;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "dtype");
  bad = good, bad.ndim = 0;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "dimensions");
  bad = good, bad.ndim = FIELDPRESS_MAX_DIMS + 1;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "ndim");
  bad = good, bad.dims[1] = 0;
  EXPECT(fieldpress_compress_bound(&bad, &bytes), INVALID, "zero");
  bad = good, bad.dims[0] = bad.dims[1] = (size_t)-1 / 2;
  EXPECT(fieldpress_compress_bound(&bad, &bytes), INVALID, "too many");
  bad = good, bad.strides[0] = (size_t)-1 / 4;
  EXPECT(fieldpress_compress(handle, &bad, abs, 0.1, buffer, &bytes, NULL), INVALID, "address space");

  fieldpress_report report;
  memset(&report, 0, sizeof report);
  EXPECT(fieldpress_compress(handle, &good, abs, 0.1, buffer, &bytes, &report), INVALID, "report->size");

  /* A buffer that is too small tells the size that is needed, and stays untouched. */
  memset(buffer, 0xAA, sizeof buffer);
  bytes = 10;
  EXPECT(fieldpress_compress(handle, &good, abs, 0.1, buffer, &bytes, NULL), FIELDPRESS_BUFFER_TOO_SMALL, "10 bytes");
  CHECK(bytes > 10 && bytes < sizeof buffer && buffer[0] == 0xAA);
  size_t needed = bytes;
  OK(fieldpress_compress(handle, &good, abs, 0.1, buffer, &bytes, NULL));
  CHECK(bytes == needed && buffer[bytes] == 0xAA);

  /* A size in place of a bound: the stream has it, and says under which bound. */
  fieldpress_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  bytes = sizeof buffer;
  OK(fieldpress_compress(handle, &good, FIELDPRESS_BOUND_RATIO, 10, buffer, &bytes, NULL));
  CHECK(bytes <= sizeof values / 10 && bytes > sizeof values / 20);
  OK(fieldpress_inspect(buffer, bytes, &info));
  CHECK(info.bound_kind == FIELDPRESS_BOUND_NRMSE && info.nrmse <= info.bound_value);
}

static void decompressing(fieldpress_handle *handle)
{
  fieldpress_field good = field_3d(values, FIELDPRESS_F64, NT, NY, NX), bad;
  size_t bytes;
  unsigned char *stream = compress(handle, &good, FIELDPRESS_BOUND_ABS, 0.1, &bytes);
  good.data = decoded;

  EXPECT(fieldpress_decompress(NULL, stream, bytes, NULL, &good, NULL), INVALID, "handle");
  EXPECT(fieldpress_decompress(handle, NULL, bytes, NULL, &good, NULL), INVALID, "stream");
  EXPECT(fieldpress_decompress(handle, stream, (size_t)-1, NULL, &good, NULL), INVALID, "stream");
  EXPECT(fieldpress_decompress(handle, stream, bytes, NULL, NULL, NULL), INVALID, "output");
  bad = good, bad.dims[0] = NT - 1;
  EXPECT(fieldpress_decompress(handle, stream, bytes, NULL, &bad, NULL), INVALID, "");
  bad = good, bad.dtype = FIELDPRESS_F32;
  EXPECT(fieldpress_decompress(handle, stream, bytes, NULL, &bad, NULL), INVALID, "");

  /* Output over the input. */
  bad = good, bad.data = stream - (size_t)stream % sizeof(double);
  EXPECT(fieldpress_decompress(handle, stream, bytes, NULL, &bad, NULL), INVALID, "overlap");

  /* Requests of another version. */
  fieldpress_request request;
  memset(&request, 0, sizeof request);
  EXPECT(fieldpress_decompress(handle, stream, bytes, &request, &good, NULL), INVALID, "request->size");

  /* Damaged and foreign bytes. */
  EXPECT(fieldpress_decompress(handle, stream, 0, NULL, &good, NULL), FIELDPRESS_CORRUPT, "");
  EXPECT(fieldpress_decompress(handle, stream, bytes - 1, NULL, &good, NULL), FIELDPRESS_CORRUPT, "");
  EXPECT(fieldpress_decompress(handle, values, sizeof values, NULL, &good, NULL), FIELDPRESS_CORRUPT, "");
  fieldpress_info info;
  memset(&info, 0, sizeof info);
  EXPECT(fieldpress_inspect(stream, bytes, &info), INVALID, "info->size");
  info.size = sizeof info;
  EXPECT(fieldpress_inspect(stream, bytes, NULL), INVALID, "info");
  EXPECT(fieldpress_inspect(stream, 3, &info), FIELDPRESS_CORRUPT, "");
  stream[bytes / 2] ^= 0x10;
  CHECK(fieldpress_decompress(handle, stream, bytes, NULL, &good, NULL) != FIELDPRESS_OK);
  stream[bytes / 2] ^= 0x10;
  OK(fieldpress_decompress(handle, stream, bytes, NULL, &good, NULL));

  /* A program built against a larger, later header: what it asks further must be zero, what it gets further is zero. */
  struct { fieldpress_info info; double later; } newer;
  memset(&newer, 0xFF, sizeof newer);
  newer.info.size = sizeof newer;
  OK(fieldpress_inspect(stream, bytes, &newer.info));
  CHECK(newer.later == 0.0 && newer.info.ndim == 3 && newer.info.size == sizeof newer && newer.info.model_name[0] == 0);
  free(stream);
}

int main(void)
{
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < NY; y++)
      for (size_t x = 0; x < NX; x++)
        values[t][y][x] = wave(t, y, x, 3);

  CHECK(strcmp(fieldpress_last_error(), "") == 0);
  CHECK(strcmp(fieldpress_status_name(FIELDPRESS_OK), "ok") == 0);
  CHECK(strcmp(fieldpress_status_name(FIELDPRESS_INTERNAL), "internal error") == 0);
  CHECK(strcmp(fieldpress_status_name(-1), "unknown status") == 0);
  CHECK(strcmp(fieldpress_status_name(9), "unknown status") == 0);
  CHECK(strchr(fieldpress_version(), '.') != NULL);

  creating();
  fieldpress_handle *handle;
  OK(fieldpress_create("threads=1;fm=off;effort=0", &handle));
  compressing(handle);
  decompressing(handle);
  fieldpress_destroy(handle);
  return 0;
}
