! Writes the stream of a raw field of 16x64x96 floats (C's order), as Fortran makes it: identical FIELD STREAM
program identical
  use, intrinsic :: iso_fortran_env, only: int8, real32, real64
  use fieldpress
  implicit none
  real(real32) :: values(96, 64, 16)
  integer(int8), allocatable :: stream(:)
  type(fieldpress_codec) :: codec
  character(4096) :: path
  integer :: unit
  call get_command_argument(1, path)
  open (newunit=unit, file=trim(path), access='stream', form='unformatted', action='read')
  read (unit) values
  close (unit)
  call codec%create()
  call codec%compress(values, fieldpress_rel(1e-3_real64), stream)
  call get_command_argument(2, path)
  open (newunit=unit, file=trim(path), access='stream', form='unformatted', action='write', status='replace')
  write (unit) stream
  close (unit)
end program
