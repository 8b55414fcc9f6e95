/* The heat equation in two dimensions on blocks of rows of very different heights, written to an archive without loss, so that
 * a run that ends early goes on where it stopped, with any number of ranks, and ends with the same bits.
 *
 *   mpirun -n 3 heat run heat.fpa 8        8 outputs
 *   mpirun -n 3 heat run part.fpa 5        5 outputs, and then a restart with another number of ranks
 *   mpirun -n 4 heat run part.fpa 8
 *   mpirun -n 2 heat read part.fpa         prints what both archives hold
 */
#include <fieldpress_mpi.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 96, COLUMNS = 64, STEPS_PER_OUTPUT = 25 };

/* An error of the library is the same on all ranks, so all of them come here together. */
static void check(fieldpress_status status, const char *what)
{
  int rank;
  if (status == FIELDPRESS_OK)
    return;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0)
    fprintf(stderr, "heat: %s: %s\n", what, fieldpress_last_error());
  MPI_Finalize();
  exit(1);
}

/* Rank k has rows in proportion to k + 1: the first few, the last most. */
static size_t first_row(int rank, int ranks)
{
  return (size_t)ROWS * rank * (rank + 1) / ((size_t)ranks * (ranks + 1));
}

static double *allocate(size_t rows)
{
  double *values = calloc((rows + 2) * COLUMNS, sizeof *values);
  if (values == NULL)
    MPI_Abort(MPI_COMM_WORLD, 1);
  return values;
}

/* A field of the rows between the two halo rows. */
static fieldpress_field field_of(double *values, size_t rows)
{
  fieldpress_field field = {0};
  field.data = values + COLUMNS;
  field.dtype = FIELDPRESS_F64;
  field.ndim = 2;
  field.dims[0] = rows;
  field.dims[1] = COLUMNS;
  return field;
}

static void advance(double *t, double *next, size_t rows, int rank, int ranks)
{
  const int above = rank > 0 ? rank - 1 : MPI_PROC_NULL, below = rank + 1 < ranks ? rank + 1 : MPI_PROC_NULL;
  double *const last = t + rows * COLUMNS, *const halo = last + COLUMNS;
  memcpy(t, t + COLUMNS, COLUMNS * sizeof *t); /* no flux at the ends, where no neighbour overwrites it */
  memcpy(halo, last, COLUMNS * sizeof *t);
  MPI_Sendrecv(last, COLUMNS, MPI_DOUBLE, below, 0, t, COLUMNS, MPI_DOUBLE, above, 0, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
  MPI_Sendrecv(t + COLUMNS, COLUMNS, MPI_DOUBLE, above, 1, halo, COLUMNS, MPI_DOUBLE, below, 1, MPI_COMM_WORLD,
               MPI_STATUS_IGNORE);
  for (size_t y = 1; y <= rows; ++y)
    for (size_t x = 0; x < COLUMNS; ++x)
    {
      const double *at = t + y * COLUMNS + x;
      const double west = x > 0 ? at[-1] : at[0], east = x + 1 < COLUMNS ? at[1] : at[0];
      next[y * COLUMNS + x] = at[0] + 0.2 * (at[-COLUMNS] + at[COLUMNS] + west + east - 4 * at[0]);
    }
  memcpy(t + COLUMNS, next + COLUMNS, rows * COLUMNS * sizeof *t);
}

/* One line on rank 0: the largest value, and a checksum of all bits that does not depend on the order of ranks. */
static void print(double time, const double *values, size_t rows, int rank)
{
  double largest = -1e300, all_largest;
  unsigned long long sum = 0, all_sum;
  for (size_t k = COLUMNS; k < (rows + 1) * COLUMNS; ++k)
  {
    unsigned long long bits;
    memcpy(&bits, values + k, sizeof bits);
    sum += bits;
    largest = fmax(largest, values[k]);
  }
  MPI_Reduce(&largest, &all_largest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
  MPI_Reduce(&sum, &all_sum, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0)
    printf("time %5.0f  largest %.4f  bits %016llx\n", time, all_largest, all_sum);
}

/* The steps of an archive that may not be there yet. */
static uint64_t steps_of(const char *path)
{
  fieldpress_reader *reader;
  uint64_t steps = 0;
  if (fieldpress_reader_open(path, NULL, &reader) == FIELDPRESS_OK)
    check(fieldpress_reader_counts(reader, NULL, &steps), "counts");
  fieldpress_reader_close(reader);
  return steps;
}

/* Reads this rank's rows of a step. */
static void load(const char *path, uint64_t step, double *values, size_t first, size_t rows, double *time)
{
  fieldpress_reader *reader;
  uint32_t variable;
  const size_t start[2] = {first, 0}, count[2] = {rows, COLUMNS};
  fieldpress_field output = field_of(values, rows);
  check(fieldpress_reader_open(path, "threads=1", &reader), "opening for reading");
  check(fieldpress_reader_find(reader, "temperature", &variable), "finding");
  check(fieldpress_reader_time(reader, step, time), "time");
  if (rows > 0)
    check(fieldpress_reader_read(reader, variable, step, 1, start, count, NULL, &output), "reading");
  fieldpress_reader_close(reader);
}

static void run(const char *path, int outputs, int rank, int ranks)
{
  const size_t first = first_row(rank, ranks), rows = first_row(rank + 1, ranks) - first;
  const size_t start[2] = {first, 0}, dims[2] = {ROWS, COLUMNS};
  double *t = allocate(rows), *next = allocate(rows);
  double time = 0;
  uint64_t done;
  uint32_t variable;
  fieldpress_archive *archive;

  check(fieldpress_archive_open(MPI_COMM_WORLD, path, "mode=append;threads=1", &archive), "opening");
  check(fieldpress_archive_define(archive, "temperature", FIELDPRESS_F64, 2, dims, &variable), "defining");
  check(fieldpress_archive_set_text(archive, variable, "_dimensions", "row,column"), "naming dimensions");
  check(fieldpress_archive_committed_steps(archive, &done), "steps");
  if (done > 0)
    load(path, done - 1, t, first, rows, &time);
  else
    for (size_t k = 0; k < rows * COLUMNS; ++k)
    {
      const double y = (double)(first + k / COLUMNS) - 30, x = (double)(k % COLUMNS) - 20;
      t[COLUMNS + k] = 100 * exp(-(x * x + y * y) / 60);
    }
  for (; done < (uint64_t)outputs; ++done)
  {
    fieldpress_field field = field_of(t, rows);
    for (int k = 0; k < STEPS_PER_OUTPUT; ++k)
      advance(t, next, rows, rank, ranks);
    time += STEPS_PER_OUTPUT;
    check(fieldpress_archive_begin_step(archive, time), "beginning a step");
    if (rows > 0) /* a rank with nothing to write puts nothing; its error, if any, comes when the step ends */
      fieldpress_archive_put(archive, variable, start, &field, FIELDPRESS_BOUND_LOSSLESS, 0);
    check(fieldpress_archive_end_step(archive, NULL), "ending a step");
  }
  check(fieldpress_archive_close(archive), "closing");
  free(t);
  free(next);
}

static void read_all(const char *path, int rank, int ranks)
{
  const size_t first = first_row(rank, ranks), rows = first_row(rank + 1, ranks) - first;
  double *values = allocate(rows), time;
  const uint64_t steps = steps_of(path);
  for (uint64_t step = 0; step < steps; ++step)
  {
    load(path, step, values, first, rows, &time);
    print(time, values, rows, rank);
  }
  free(values);
}

int main(int argc, char **argv)
{
  int rank, ranks;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (argc == 4 && strcmp(argv[1], "run") == 0)
    run(argv[2], atoi(argv[3]), rank, ranks);
  else if (argc == 3 && strcmp(argv[1], "read") == 0)
    read_all(argv[2], rank, ranks);
  else if (rank == 0)
    fprintf(stderr, "usage: heat run ARCHIVE OUTPUTS | heat read ARCHIVE\n");
  MPI_Finalize();
  return 0;
}
