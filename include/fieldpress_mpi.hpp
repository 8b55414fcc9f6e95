// fieldpress archives written by all ranks of an MPI job, for C++17: fieldpress_archive.hpp with a communicator.
//
//   fieldpress::archive archive = fieldpress::open_archive(MPI_COMM_WORLD, "run.fpa", "mode=append;window=8");
//   fieldpress::reader reader = fieldpress::open_reader(MPI_COMM_WORLD, "run.fpa");
#ifndef FIELDPRESS_MPI_HPP
#define FIELDPRESS_MPI_HPP

#include <fieldpress_archive.hpp>
#include <fieldpress_mpi.h>

namespace fieldpress
{

// Creates an archive, or opens it for appending; collective. Options as for fieldpress_archive_open.
inline archive open_archive(MPI_Comm comm, const std::string &path, const std::string &options = {})
{
  fieldpress_archive *handle = nullptr;
  detail::check(fieldpress_archive_open(comm, path.c_str(), options.c_str(), &handle));
  return archive(handle);
}

// Opens an archive for reading on all ranks; collective. What is in it is read on rank 0 alone.
inline reader open_reader(MPI_Comm comm, const std::string &path, const std::string &options = {})
{
  fieldpress_reader *handle = nullptr;
  detail::check(fieldpress_reader_open_shared(comm, path.c_str(), options.c_str(), &handle));
  return reader(handle);
}

// Reads the index of a step on rank 0 and hands it to all ranks; collective.
inline void share_index(MPI_Comm comm, const reader &reader, std::uint64_t step)
{
  detail::check(fieldpress_reader_share_index(comm, reader.handle(), step));
}

} // namespace fieldpress

#endif // FIELDPRESS_MPI_HPP
