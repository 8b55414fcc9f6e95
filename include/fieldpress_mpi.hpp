// fieldpress archives written by all ranks of an MPI job, for C++17: fieldpress_archive.hpp with a communicator.
//
//   fieldpress::archive archive = fieldpress::open_archive(MPI_COMM_WORLD, "run.fpa", "mode=append;window=8");
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

} // namespace fieldpress

#endif // FIELDPRESS_MPI_HPP
