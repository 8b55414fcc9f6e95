! The life cycle in Fortran: compress a field under an error bound, look at the stream, decompress, check.
program round_trip
  use, intrinsic :: iso_fortran_env, only: int8, real32, real64
  use fieldpress
  implicit none
  integer, parameter :: nx = 90, ny = 60, nt = 16
  real(real64), parameter :: tolerance = 0.01_real64
  real(real32), allocatable :: original(:, :, :), decoded(:, :, :)
  integer(int8), allocatable :: stream(:)
  type(fieldpress_codec) :: codec
  type(fieldpress_report) :: report
  type(fieldpress_info) :: info
  integer :: x, y, t, stat
  character(200) :: message

  allocate (original(nx, ny, nt), decoded(nx, ny, nt))
  do t = 1, nt
    do y = 1, ny
      do x = 1, nx
        original(x, y, t) = real(280 + 10*sin(0.1_real64*x + 0.2_real64*t)*cos(0.05_real64*y), real32)
      end do
    end do
  end do

  ! Without stat=, an error stops the program with its message.
  call codec%create('threads=1')

  ! Every value within 0.01 of the original, in the field's units. The last index is time: each (nx, ny) is a frame.
  call codec%compress(original, fieldpress_abs(tolerance), stream, report)
  print '(i0,a,i0,a,es9.2)', size(stream), ' bytes of ', report%input_bytes, ', largest error ', report%max_abs_error

  call fieldpress_inspect(stream, info)
  if (any(info%dims(:3) /= [nt, ny, nx])) error stop 'the header differs from the field'

  call codec%decompress(stream, decoded)
  if (maxval(abs(real(original, real64) - real(decoded, real64))) > tolerance) &
    error stop 'the error is larger than promised'

  ! With stat=, it goes on.
  call codec%decompress(stream(:size(stream)/2), decoded, stat=stat, errmsg=message)
  if (stat /= fieldpress_corrupt) error stop 'half a stream must be found corrupt'
  print '(2a)', 'half of it: ', trim(message)
end program
