// fieldpress archives written by all ranks of an MPI job.
//
// This header is generated from src/ffi/mpi by cbindgen; change it there. It adds the calls that take a
// communicator; everything else is in fieldpress_archive.h. Link libfieldpress_mpi, which holds those calls too, in place of
// libfieldpress.
//
//   fieldpress_archive *archive;
//   if (fieldpress_archive_open(MPI_COMM_WORLD, "run.fpa", "mode=append;window=8", &archive) != FIELDPRESS_OK) ...
//
// No call ends the job or waits for a rank that does not come because of an error of its own: errors are agreed on. A rank
// that is killed takes the job with it, as MPI has it; the steps committed before read back whole.

#ifndef FIELDPRESS_MPI_H
#define FIELDPRESS_MPI_H

#include <mpi.h>
#include "fieldpress_archive.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Creates an archive that all ranks of a communicator write, or opens it for appending; collective.
//
// comm: the ranks that write. It is duplicated; the caller's is not used afterwards.
// path: the file, on a file system that all ranks see.
// options: as for fieldpress_archive_open_serial, the same on all ranks (threads and device may differ).
// archive: where the new handle is stored; null is stored on failure. It belongs to fieldpress_archive_close, before
//   MPI_Finalize.
fieldpress_status fieldpress_archive_open(MPI_Comm comm,
                                          const char *path,
                                          const char *options,
                                          fieldpress_archive **archive);

// As fieldpress_archive_open, with a Fortran handle (MPI_Fint) of a communicator.
//
// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
// path, options, archive: as for fieldpress_archive_open.
fieldpress_status fieldpress_archive_open_fortran(MPI_Fint comm,
                                                  const char *path,
                                                  const char *options,
                                                  fieldpress_archive **archive);

// Opens an archive for reading on all ranks of a communicator; collective. Rank 0 finds out what is in it and tells
// the others, so that the file system is not asked by all ranks at once; all see the same steps. Everything after is
// as with fieldpress_reader_open, which any number of processes may use without MPI.
//
// comm: the ranks that read. Used during the call only.
// path: the file, on a file system that all ranks see.
// options: as for fieldpress_create; null or "" for the defaults. Ranks may have different ones.
// reader: where the new handle is stored; null is stored on failure. It belongs to fieldpress_reader_close, which is
//   not collective.
fieldpress_status fieldpress_reader_open_shared(MPI_Comm comm,
                                                const char *path,
                                                const char *options,
                                                fieldpress_reader **reader);

// As fieldpress_reader_open_shared, with a Fortran handle (MPI_Fint) of a communicator.
//
// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
// path, options, reader: as for fieldpress_reader_open_shared.
fieldpress_status fieldpress_reader_open_shared_fortran(MPI_Fint comm,
                                                        const char *path,
                                                        const char *options,
                                                        fieldpress_reader **reader);

// Reads the index of a step on rank 0 and hands it to all ranks; collective. Reading from that step (and those
// committed with it) then takes from the file only the chunks that a rank touches. Without this call each rank reads
// the index by itself.
//
// comm: the ranks that opened the archive with fieldpress_reader_open_shared.
// reader: from there.
// step: its number, from 0; the same on all ranks.
fieldpress_status fieldpress_reader_share_index(MPI_Comm comm,
                                                const fieldpress_reader *reader,
                                                uint64_t step);

// As fieldpress_reader_share_index, with a Fortran handle (MPI_Fint) of a communicator.
//
// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
// reader, step: as for fieldpress_reader_share_index.
fieldpress_status fieldpress_reader_share_index_fortran(MPI_Fint comm,
                                                        const fieldpress_reader *reader,
                                                        uint64_t step);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FIELDPRESS_MPI_H */
