/* An archive's life over MPI, from C: checks itself, says what failed, and prints nothing else. */
#include <fieldpress_mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_NOTE fieldpress_last_error()
#include "../../../../tests/check.h"

enum { ROWS = 6, COLUMNS = 10 };

int main(int argc, char **argv)
{
  int rank, ranks;
  fieldpress_archive *archive = NULL, *none = (fieldpress_archive *)argv;
  if (argc != 2)
    return 2;
  /* Before MPI_Init: an error, not a crash. */
  CHECK(fieldpress_archive_open(MPI_COMM_WORLD, argv[1], NULL, &none) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(none == NULL && strstr(fieldpress_last_error(), "MPI_Init") != NULL);
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  CHECK(fieldpress_archive_open(MPI_COMM_NULL, argv[1], NULL, &none) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_archive_open(MPI_COMM_WORLD, argv[1], "window=none", &none) == FIELDPRESS_INVALID_ARGUMENT);
  /* A mistake on one rank is every rank's error. */
  CHECK(fieldpress_archive_open(MPI_COMM_WORLD, argv[1], rank == ranks - 1 ? "no option" : NULL, &none) ==
        FIELDPRESS_INVALID_ARGUMENT);
  CHECK(strstr(fieldpress_last_error(), "no option") != NULL && none == NULL);
  none = (fieldpress_archive *)argv;
  CHECK(fieldpress_archive_open(MPI_COMM_WORLD, argv[1], NULL, rank == ranks - 1 ? NULL : &none) ==
        FIELDPRESS_INVALID_ARGUMENT);
  CHECK(strstr(fieldpress_last_error(), "archive is null") != NULL);
  CHECK(rank == ranks - 1 || none == NULL);

  CHECK(fieldpress_archive_open(MPI_COMM_WORLD, argv[1], "mode=replace;threads=1", &archive) == FIELDPRESS_OK);
  uint32_t variable;
  const size_t dims[2] = {(size_t)ROWS * ranks, COLUMNS}, start[2] = {(size_t)ROWS * rank, 0}, wrong[2] = {9999, 0};
  const double numbers[2] = {1.5, -2.5};
  CHECK(fieldpress_archive_define(archive, "u", FIELDPRESS_F64, 2, dims, &variable) == FIELDPRESS_OK);
  CHECK(fieldpress_archive_define(archive, "", FIELDPRESS_F64, 2, dims, &variable) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_archive_define(archive, "v", FIELDPRESS_F64, 9, dims, &variable) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_archive_set_text(archive, 0, "units", "m/s") == FIELDPRESS_OK);
  CHECK(fieldpress_archive_set_reals(archive, FIELDPRESS_ARCHIVE_ITSELF, "origin", 2, numbers) == FIELDPRESS_OK);

  double values[ROWS][COLUMNS + 2], back[ROWS * COLUMNS];
  fieldpress_field field = {0};
  field.data = &values[0][1]; /* without the halo columns */
  field.dtype = FIELDPRESS_F64;
  field.ndim = 2;
  field.dims[0] = ROWS;
  field.dims[1] = COLUMNS;
  field.strides[0] = COLUMNS + 2;
  field.strides[1] = 1;
  for (int step = 0; step < 3; ++step)
  {
    fieldpress_step_report report = {0};
    report.size = sizeof report;
    for (int y = 0; y < ROWS; ++y)
      for (int x = 0; x < COLUMNS + 2; ++x)
        values[y][x] = 0.1 * (rank * ROWS + y) * x + step;
    CHECK(fieldpress_archive_begin_step(archive, 0.5 * step) == FIELDPRESS_OK);
    fieldpress_status put = fieldpress_archive_put(archive, 0, step == 1 && rank == 0 ? wrong : start, &field,
                                                   FIELDPRESS_BOUND_LOSSLESS, 0);
    CHECK(put == (step == 1 && rank == 0 ? FIELDPRESS_INVALID_ARGUMENT : FIELDPRESS_OK));
    /* All ranks learn of rank 0's mistake, and the step is dropped. */
    fieldpress_status ended = fieldpress_archive_end_step(archive, &report);
    CHECK(ended == (step == 1 ? FIELDPRESS_INVALID_ARGUMENT : FIELDPRESS_OK));
    CHECK(step == 1 ? strstr(fieldpress_last_error(), "variable u") != NULL : report.steps == 1 && report.chunks == 1);
  }
  uint64_t steps;
  CHECK(fieldpress_archive_committed_steps(archive, &steps) == FIELDPRESS_OK && steps == 2);
  CHECK(fieldpress_archive_close(archive) == FIELDPRESS_OK);
  CHECK(fieldpress_archive_close(NULL) == FIELDPRESS_OK);

  fieldpress_reader *reader;
  CHECK(fieldpress_reader_open("/no/such/archive", NULL, &reader) == FIELDPRESS_IO && reader == NULL);
  CHECK(fieldpress_reader_open(argv[1], "threads=1", &reader) == FIELDPRESS_OK);
  uint32_t variables;
  CHECK(fieldpress_reader_counts(reader, &variables, &steps) == FIELDPRESS_OK && variables == 1 && steps == 2);
  CHECK(fieldpress_reader_find(reader, "u", &variable) == FIELDPRESS_OK && variable == 0);
  CHECK(fieldpress_reader_find(reader, "w", &variable) == FIELDPRESS_INVALID_ARGUMENT);
  fieldpress_variable info = {0};
  info.size = sizeof info;
  CHECK(fieldpress_reader_variable(reader, 0, &info) == FIELDPRESS_OK);
  CHECK(info.ndim == 2 && info.dims[0] == dims[0] && info.dtype == FIELDPRESS_F64 && strcmp(info.name, "u") == 0);
  double time, found[2];
  CHECK(fieldpress_reader_time(reader, 1, &time) == FIELDPRESS_OK && time == 1.0);
  CHECK(fieldpress_reader_time(reader, 2, &time) == FIELDPRESS_INVALID_ARGUMENT);
  char text[8];
  size_t count = sizeof text;
  CHECK(fieldpress_reader_get_text(reader, 0, "units", text, &count) == FIELDPRESS_OK && strcmp(text, "m/s") == 0);
  count = 1;
  CHECK(fieldpress_reader_get_text(reader, 0, "units", text, &count) == FIELDPRESS_BUFFER_TOO_SMALL && count == 4);
  count = 2;
  CHECK(fieldpress_reader_get_reals(reader, FIELDPRESS_ARCHIVE_ITSELF, "origin", found, &count) == FIELDPRESS_OK);
  CHECK(found[0] == 1.5 && found[1] == -2.5);
  /* Another rank's box. */
  const int other = (rank + 1) % ranks;
  const size_t from[2] = {(size_t)ROWS * other, 0}, box[2] = {ROWS, COLUMNS};
  fieldpress_field output = {0};
  output.data = back;
  output.dtype = FIELDPRESS_F64;
  output.ndim = 2;
  output.dims[0] = ROWS;
  output.dims[1] = COLUMNS;
  CHECK(fieldpress_reader_read(reader, 0, 1, 1, from, box, NULL, &output) == FIELDPRESS_OK);
  for (int y = 0; y < ROWS; ++y)
    for (int x = 0; x < COLUMNS; ++x)
      CHECK(back[y * COLUMNS + x] == 0.1 * (other * ROWS + y) * (x + 1) + 2);
  output.dtype = FIELDPRESS_F32;
  CHECK(fieldpress_reader_read(reader, 0, 1, 1, from, box, NULL, &output) == FIELDPRESS_INVALID_ARGUMENT);
  fieldpress_reader_close(reader);
  fieldpress_reader_close(NULL);

  /* All ranks together: the same, and one rank's mistake is every rank's error. */
  CHECK(fieldpress_reader_open_shared(MPI_COMM_WORLD, argv[1], "threads=1", &reader) == FIELDPRESS_OK);
  CHECK(fieldpress_reader_share_index(MPI_COMM_WORLD, reader, 1) == FIELDPRESS_OK);
  output.dtype = FIELDPRESS_F64;
  memset(back, 0, sizeof back);
  CHECK(fieldpress_reader_read(reader, 0, 1, 1, from, box, NULL, &output) == FIELDPRESS_OK);
  CHECK(back[0] == 0.1 * (other * ROWS) + 2);
  CHECK(fieldpress_reader_share_index(MPI_COMM_WORLD, reader, 2) == FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_reader_share_index(MPI_COMM_WORLD, rank == ranks - 1 ? NULL : reader, 0) ==
        FIELDPRESS_INVALID_ARGUMENT);
  CHECK(strstr(fieldpress_last_error(), "reader") != NULL);
  if (ranks > 1)
  {
    CHECK(fieldpress_reader_share_index(MPI_COMM_WORLD, reader, rank == 0) == FIELDPRESS_INVALID_ARGUMENT);
    CHECK(strstr(fieldpress_last_error(), "the step differs") != NULL);
  }
  fieldpress_reader_close(reader);
  CHECK(fieldpress_reader_open_shared(MPI_COMM_WORLD, "/no/such/archive", NULL, &reader) == FIELDPRESS_IO);
  CHECK(reader == NULL && strstr(fieldpress_last_error(), "/no/such/archive") != NULL);
  CHECK(fieldpress_reader_open_shared(MPI_COMM_WORLD, rank == ranks - 1 ? "/no/such/archive" : argv[1], NULL, &reader) ==
        FIELDPRESS_IO);
  CHECK(fieldpress_reader_open_shared(MPI_COMM_WORLD, argv[1], rank == 0 ? "effort=fast" : NULL, &reader) ==
        FIELDPRESS_INVALID_ARGUMENT);
  CHECK(fieldpress_reader_open_shared(MPI_COMM_WORLD, argv[1], NULL, rank == ranks - 1 ? NULL : &reader) ==
        FIELDPRESS_INVALID_ARGUMENT);
  CHECK(strstr(fieldpress_last_error(), "reader is null") != NULL);
  CHECK(fieldpress_reader_open_shared(MPI_COMM_NULL, argv[1], NULL, &reader) == FIELDPRESS_INVALID_ARGUMENT);
  MPI_Finalize();
  return 0;
}
