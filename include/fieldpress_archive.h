// fieldpress archives: many fields, steps and ranks in one file.
//
// This header is generated from src/ffi/archive by cbindgen; change it there. It needs no MPI; programs that write from
// several ranks include fieldpress_mpi.h, which adds the call that opens an archive over a communicator.
//
// LIFE CYCLE
//
//   fieldpress_archive *archive;
//   fieldpress_archive_open_serial("run.fpa", "mode=append", &archive);
//   fieldpress_archive_define(archive, "temperature", FIELDPRESS_F64, 3, dims, &variable);
//   for (...) {
//     fieldpress_archive_begin_step(archive, time);
//     fieldpress_archive_put(archive, variable, start, &field, FIELDPRESS_BOUND_NRMSE, 1e-4);
//     fieldpress_archive_end_step(archive, NULL);
//   }
//   fieldpress_archive_close(archive);
//
//   fieldpress_reader *reader;
//   fieldpress_reader_open("run.fpa", NULL, &reader);
//   fieldpress_reader_read(reader, variable, step, 1, NULL, NULL, NULL, &output);
//   fieldpress_reader_close(reader);
//
// RULES
//
//   - As in fieldpress.h: a status, and fieldpress_last_error for the sentence.
//   - Opening, end_step, flush and close are collective: all ranks call them, in the same order, whatever other calls
//     returned. Where one rank failed, all get the same error, which names the rank; nobody waits for ever.
//   - What a committed step holds is never changed again.

#ifndef FIELDPRESS_ARCHIVE_H
#define FIELDPRESS_ARCHIVE_H

#include "fieldpress.h"

// In place of a variable's number: the archive itself.
#define FIELDPRESS_ARCHIVE_ITSELF UINT32_MAX

// Bytes of a variable's name, with the terminating zero.
#define FIELDPRESS_VARIABLE_NAME_BYTES 256

// An archive that is written, one of all ranks' handles. Opaque. One thread at a time may use it.
typedef struct fieldpress_archive fieldpress_archive;

// An archive opened for reading. Opaque. Several threads may use it at the same time.
typedef struct fieldpress_reader fieldpress_reader;

// What ending a step did.
typedef struct fieldpress_step_report {
  // sizeof(fieldpress_step_report), set by the caller before the call.
  size_t size;
  // Steps that were committed; 0 while a window of steps fills.
  uint64_t steps;
  // This rank's chunks.
  uint64_t chunks;
  // Bytes of this rank's uncompressed values.
  uint64_t input_bytes;
  // Bytes of this rank's streams.
  uint64_t stream_bytes;
  // Bytes of the index; on rank 0, elsewhere 0.
  uint64_t index_bytes;
  // Seconds that this rank worked alone: copies, statistics and compression.
  double local_seconds;
  // Seconds of waiting for the slowest rank.
  double wait_seconds;
  // Seconds of everything else: reductions, offsets, writing, the index.
  double collective_seconds;
  // How many values of this rank's boxes were found to mark points without data (option "sentinels").
  uint64_t sentinel_count;
  // The first of them, in order; 0 beyond sentinel_count.
  double sentinels[FIELDPRESS_MAX_SENTINELS];
} fieldpress_step_report;

// A variable of an archive.
typedef struct fieldpress_variable {
  // sizeof(fieldpress_variable), set by the caller before the call.
  size_t size;
  // Type of the values: a fieldpress_dtype.
  int32_t dtype;
  // Number of dimensions of the global domain.
  uint32_t ndim;
  // Sizes of the global domain, slowest first; 1 beyond ndim.
  size_t dims[FIELDPRESS_MAX_DIMS];
  // Its name.
  char name[FIELDPRESS_VARIABLE_NAME_BYTES];
} fieldpress_variable;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Creates an archive written by this process alone, or opens it for appending. Programs that use MPI call
// fieldpress_archive_open (fieldpress_mpi.h) instead; all other calls are the same.
//
// path: the file.
// options: "key=value" pairs separated by semicolons; null or "" for the defaults. The keys of fieldpress_create, and:
//   mode            create (default; an existing file is an error), replace (the old file stays until the first step of
//                   the new one is committed) or append (steps are added; created where there is none)
//   keep            with mode=append: how many steps to keep, for a restart from an earlier one
//   window          steps that are kept in memory and coded together, default 1. A crash loses those not committed yet:
//                   up to one less than this, and the step in progress
//   keyframe        windows from one that needs none before it to the next, default 8
//   ranks_per_file  ranks that share a data file beside the archive; default 0: one file
//   embed_model     on: the model package is put into the archive; default off
//   sync            off: do not wait for stable storage at a commit; default on
//   lock            off: no lock keeps other writers away; default on
//   write           gathered (default): one rank of each node writes the node's data; collective: MPI's collective
//                   buffering
//   hints           for MPI-IO, "key:value" pairs separated by commas, for example cb_nodes:4
// archive: where the new handle is stored; null is stored on failure.
fieldpress_status fieldpress_archive_open_serial(const char *path,
                                                 const char *options,
                                                 struct fieldpress_archive **archive);

// Defines a variable; the same on all ranks, and not during a step.
//
// archive: from fieldpress_archive_open.
// name: 1 to 255 bytes of UTF-8, unique.
// dtype: the type of its values, a fieldpress_dtype.
// ndim, dims: sizes of the global domain, slowest first. At most FIELDPRESS_MAX_DIMS, one less with window > 1.
// variable: where its number is stored.
fieldpress_status fieldpress_archive_define(struct fieldpress_archive *archive,
                                            const char *name,
                                            int32_t dtype,
                                            uint32_t ndim,
                                            const size_t *dims,
                                            uint32_t *variable);

// Sets an attribute to a text; the same on all ranks, and not during a step.
//
// archive: from fieldpress_archive_open.
// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
// name, value: UTF-8.
fieldpress_status fieldpress_archive_set_text(struct fieldpress_archive *archive,
                                              uint32_t variable,
                                              const char *name,
                                              const char *value);

// Sets an attribute to numbers; the same on all ranks, and not during a step.
//
// archive: from fieldpress_archive_open.
// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
// name: UTF-8.
// count, values: the numbers.
fieldpress_status fieldpress_archive_set_reals(struct fieldpress_archive *archive,
                                               uint32_t variable,
                                               const char *name,
                                               size_t count,
                                               const double *values);

// Sets an attribute to whole numbers; the same on all ranks, and not during a step.
//
// archive: from fieldpress_archive_open.
// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
// name: UTF-8.
// count, values: the numbers.
fieldpress_status fieldpress_archive_set_integers(struct fieldpress_archive *archive,
                                                  uint32_t variable,
                                                  const char *name,
                                                  size_t count,
                                                  const int64_t *values);

// Begins a step; the same on all ranks. Communicates nothing.
//
// archive: from fieldpress_archive_open.
// time: what the step is, usually the simulated time.
fieldpress_status fieldpress_archive_begin_step(struct fieldpress_archive *archive,
                                                double time);

// Gives this rank's values in a box of a variable. They are copied. Communicates nothing; a rank may put any number of
// boxes, also none. Boxes of different puts, on any ranks, must not overlap: leave out halo cells (by the field's
// strides). After an error, all ranks still call fieldpress_archive_end_step, which gives all of them this error.
//
// archive: from fieldpress_archive_open.
// variable: its number.
// start: first index of the box along each dimension of the global domain.
// field: the values; its ndim and dims are the box's, which lies inside the domain.
// bound_kind, bound_value: as for fieldpress_compress, but the range and the errors are those of the global field: all
//   ranks together meet the bound. The same for all puts of a variable, until a window of steps is committed.
fieldpress_status fieldpress_archive_put(struct fieldpress_archive *archive,
                                         uint32_t variable,
                                         const size_t *start,
                                         const fieldpress_field *field,
                                         int32_t bound_kind,
                                         double bound_value);

// Ends the step; collective. Where the window of steps is full (always, with window=1), they are committed: when this
// returns, they are in the file, and no crash loses them. After an error the step is dropped, on all ranks, and the
// next one may begin; where the window itself cannot be committed (boxes that overlap, a bound that is not that of
// another rank, a full disk), all of its steps are dropped.
//
// archive: from fieldpress_archive_open.
// report: what was done, or null. Its member size must be set.
fieldpress_status fieldpress_archive_end_step(struct fieldpress_archive *archive,
                                              struct fieldpress_step_report *report);

// Commits the steps of a window that is not full; collective.
//
// archive: from fieldpress_archive_open.
// report: what was done, or null. Its member size must be set.
fieldpress_status fieldpress_archive_flush(struct fieldpress_archive *archive,
                                           struct fieldpress_step_report *report);

// How many steps are committed; after opening with mode=append, where to go on.
//
// archive: from fieldpress_archive_open.
// steps: where the number is stored.
fieldpress_status fieldpress_archive_committed_steps(struct fieldpress_archive *archive,
                                                     uint64_t *steps);

// Commits what is not committed yet and closes the archive; collective. The handle is gone afterwards, also after an
// error. Null is allowed and does nothing.
fieldpress_status fieldpress_archive_close(struct fieldpress_archive *archive);

// Opens an archive for reading; needs no MPI, and any number of processes may do so, also while it is written.
//
// path: the file.
// options: as for fieldpress_create, among them trust_embedded_model; null or "" for the defaults.
// reader: where the new handle is stored; null is stored on failure.
fieldpress_status fieldpress_reader_open(const char *path,
                                         const char *options,
                                         struct fieldpress_reader **reader);

// Closes a reader. Null is allowed and does nothing.
void fieldpress_reader_close(struct fieldpress_reader *reader);

// How many variables and steps an archive has.
//
// reader: from fieldpress_reader_open.
// variables, steps: where the numbers are stored, or null.
fieldpress_status fieldpress_reader_counts(const struct fieldpress_reader *reader,
                                           uint32_t *variables,
                                           uint64_t *steps);

// The number of the variable of a name.
//
// reader: from fieldpress_reader_open.
// name: its name.
// variable: where its number is stored.
fieldpress_status fieldpress_reader_find(const struct fieldpress_reader *reader,
                                         const char *name,
                                         uint32_t *variable);

// Name, type and shape of a variable.
//
// reader: from fieldpress_reader_open.
// variable: its number, from 0.
// info: where they are stored. Its member size must be set.
fieldpress_status fieldpress_reader_variable(const struct fieldpress_reader *reader,
                                             uint32_t variable,
                                             struct fieldpress_variable *info);

// What the writer said that a step is, usually the simulated time.
//
// reader: from fieldpress_reader_open.
// step: its number, from 0.
// time: where it is stored.
fieldpress_status fieldpress_reader_time(const struct fieldpress_reader *reader,
                                         uint64_t step,
                                         double *time);

// An attribute's text.
//
// reader: from fieldpress_reader_open.
// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
// name: the attribute's name.
// buffer: where the text is stored, with a terminating zero.
// bytes: on entry the buffer's size, on return the text's, with the zero. With FIELDPRESS_BUFFER_TOO_SMALL the size
//   that is needed.
fieldpress_status fieldpress_reader_get_text(const struct fieldpress_reader *reader,
                                             uint32_t variable,
                                             const char *name,
                                             char *buffer,
                                             size_t *bytes);

// An attribute's numbers, whole ones as double.
//
// reader: from fieldpress_reader_open.
// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
// name: the attribute's name.
// values: where the numbers are stored.
// count: on entry how many there is room for, on return how many there are. With FIELDPRESS_BUFFER_TOO_SMALL how many
//   there must be room for.
fieldpress_status fieldpress_reader_get_reals(const struct fieldpress_reader *reader,
                                              uint32_t variable,
                                              const char *name,
                                              double *values,
                                              size_t *count);

// Reads a part of a variable: a step, a box of it, or a series of steps. Reads and decodes only the chunks that it
// touches.
//
// reader: from fieldpress_reader_open.
// variable: its number.
// first_step, steps: the steps, from 0.
// start, count: the box in the global domain, as many indices as the variable has dimensions; both null: the whole
//   domain.
// missing: what points get that no rank put; null: such points are an error.
// output: where the values go: dtype as the variable's; dims those of the box, for several steps after their number;
//   any strides. Unspecified after an error.
fieldpress_status fieldpress_reader_read(const struct fieldpress_reader *reader,
                                         uint32_t variable,
                                         uint64_t first_step,
                                         uint64_t steps,
                                         const size_t *start,
                                         const size_t *count,
                                         const double *missing,
                                         const fieldpress_field *output);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FIELDPRESS_ARCHIVE_H */
