/* Values that mark points without data: found, said in the report, kept; or data, where the option says so. */

#include "check.h"

enum { NT = 4, NY = 40, NX = 56 };

static float original[NT][NY][NX], decoded[NT][NY][NX];

int main(void)
{
  for (size_t t = 0; t < NT; t++)
    for (size_t y = 0; y < NY; y++)
      for (size_t x = 0; x < NX; x++)
        original[t][y][x] = x > 30 && y < 12 ? (t == 2 ? 1e20f : -9999.0f) : (float)wave(t, y, x, 3);

  static const struct {
    const char *options;
    uint64_t count;
  } cases[] = {{"threads=1;fm=off", 2}, {"threads=1;fm=off;sentinels=off", 0},
               {"threads=1;fm=off;sentinels=-9999,1e20", 0}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    fieldpress_handle *handle;
    OK(fieldpress_create(cases[k].options, &handle));
    fieldpress_field field = field_3d(original, FIELDPRESS_F32, NT, NY, NX);
    size_t bytes;
    OK(fieldpress_compress_bound(&field, &bytes));
    void *stream = malloc(bytes);
    CHECK(stream != NULL);
    fieldpress_report report;
    memset(&report, 0xff, sizeof report);
    report.size = sizeof report;
    OK(fieldpress_compress(handle, &field, FIELDPRESS_BOUND_REL, 1e-3, stream, &bytes, &report));
    CHECK(report.sentinel_count == cases[k].count);
    for (size_t i = report.sentinel_count; i < FIELDPRESS_MAX_SENTINELS; i++)
      CHECK(report.sentinels[i] == 0);
    if (report.sentinel_count == 2)
      CHECK(report.sentinels[0] + report.sentinels[1] == (double)1e20f - 9999.0);
    fieldpress_info info;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    OK(fieldpress_inspect(stream, bytes, &info));
    /* Data has a range of some units, and with the marks one of many. */
    CHECK((info.range < 1000) == (k != 1));

    field.data = decoded;
    OK(fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL));
    double sum = 0, points = 0;
    for (size_t t = 0; t < NT; t++)
      for (size_t y = 0; y < NY; y++)
        for (size_t x = 0; x < NX; x++) {
          const float a = original[t][y][x], b = decoded[t][y][x];
          if (k != 1 && (a == 1e20f || a == -9999.0f)) {
            CHECK(memcmp(&a, &b, sizeof a) == 0);
          } else {
            CHECK(fabs((double)a - (double)b) <= 1e-3 * info.range);
            sum += (double)b - (double)a;
            points += 1;
          }
        }
    if (k != 1)
      CHECK(fabs(report.mean_error - sum / points) <= 1e-9 * info.range);
    free(stream);
    fieldpress_destroy(handle);
  }
  return 0;
}
