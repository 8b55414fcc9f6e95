/* Writes that end early and are called a success, as Open MPI's are where a disk fills up: for LD_PRELOAD. */
#include <mpi.h>

int MPI_File_write_at(MPI_File file, MPI_Offset offset, const void *data, int count, MPI_Datatype type,
                      MPI_Status *status)
{
  return PMPI_File_write_at(file, offset, data, count > 1 ? count / 2 : count, type, status);
}

int MPI_File_write_at_all(MPI_File file, MPI_Offset offset, const void *data, int count, MPI_Datatype type,
                          MPI_Status *status)
{
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return PMPI_File_write_at_all(file, offset, data, rank == 2 ? count / 2 : count, type, status);
}
