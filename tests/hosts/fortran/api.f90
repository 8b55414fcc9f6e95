! The Fortran module: every rank and kind, sections of larger arrays in place, Fortran's order, errors, time steps.
program api
  use, intrinsic :: iso_fortran_env, only: int8, int64, real32, real64
  use fieldpress
  use, intrinsic :: iso_c_binding, only: c_f_pointer, c_int, c_loc
  implicit none
  interface
    function usleep(microseconds) bind(c) result(status)
      import :: c_int
      integer(c_int), value :: microseconds
      integer(c_int) :: status
    end function
  end interface
  real(real64), parameter :: tolerance = 1e-3_real64
  type(fieldpress_codec) :: codec

  call codec%create('threads=1;fm=off')
  call check(len(fieldpress_version()) > 0, 'version')
  call check(len(fieldpress_status_name(2)) == len('corrupt stream'), 'the name of a status')
  call ranks_of_real32()
  call ranks_of_real64()
  call sections()
  call errors()
  call large()
  call time_steps()
  call finalisers()

contains

  subroutine check(condition, what)
    logical, intent(in) :: condition
    character(*), intent(in) :: what
    if (condition) return
    print '(a)', what
    error stop 1
  end subroutine

  elemental function wave(i) result(value)
    integer, intent(in) :: i
    real(real64) :: value
    value = 20 + 5*sin(0.013_real64*i)
  end function

  subroutine ranks_of_real32()
    real(real32) :: a(2400), b(2400)
    real(real32) :: a2(60, 40), b2(60, 40), a3(20, 15, 8), b3(20, 15, 8), a4(10, 12, 5, 4), b4(10, 12, 5, 4)
    integer(int8), allocatable :: stream(:)
    type(fieldpress_info) :: info
    integer :: i
    a = real(wave([(i, i=1, 2400)]), real32)
    a2 = reshape(a, shape(a2))
    a3 = reshape(a, shape(a3))
    a4 = reshape(a, shape(a4))
    call codec%compress(a, fieldpress_abs(tolerance), stream)
    call codec%decompress(stream, b)
    call check(maxval(abs(a - b)) <= tolerance, 'real32, rank 1')
    call codec%compress(a2, fieldpress_abs(tolerance), stream)
    call codec%decompress(stream, b2)
    call check(maxval(abs(a2 - b2)) <= tolerance, 'real32, rank 2')
    call codec%compress(a3, fieldpress_abs(tolerance), stream)
    call codec%decompress(stream, b3)
    call check(maxval(abs(a3 - b3)) <= tolerance, 'real32, rank 3')
    call fieldpress_inspect(stream, info)
    call check(info%ndim == 3 .and. all(info%dims(:3) == [8, 15, 20]) .and. info%dtype == fieldpress_f32, 'order')
    call codec%compress(a4, fieldpress_lossless(), stream)
    call codec%decompress(stream, b4)
    call check(maxval(abs(a4 - b4)) <= 0, 'real32, rank 4')
    call codec%compress(a3, fieldpress_ratio(8.0_real64), stream)
    call check(size(stream) <= storage_size(a3) / 8 * size(a3) / 8, 'a size in place of a bound')
  end subroutine

  subroutine ranks_of_real64()
    real(real64) :: a(2400), b(2400)
    real(real64) :: a2(60, 40), b2(60, 40), a3(20, 15, 8), b3(20, 15, 8), a4(10, 12, 5, 4), b4(10, 12, 5, 4)
    integer(int8), allocatable :: stream(:)
    type(fieldpress_report) :: report
    integer :: i
    a = wave([(i, i=1, 2400)])
    a2 = reshape(a, shape(a2))
    a3 = reshape(a, shape(a3))
    a4 = reshape(a, shape(a4))
    call codec%compress(a, fieldpress_rel(tolerance), stream)
    call codec%decompress(stream, b)
    call check(maxval(abs(a - b)) <= tolerance*10, 'real64, rank 1')
    call codec%compress(a2, fieldpress_nrmse(tolerance), stream, report)
    call codec%decompress(stream, b2)
    call check(report%nrmse <= tolerance .and. report%stream_bytes == size(stream), 'real64, report')
    call check(report%sentinel_count == 0 .and. abs(report%mean_error) <= report%max_abs_error, 'real64, mean')
    call check(maxval(abs(a2 - b2)) <= report%max_abs_error*(1 + 1e-12_real64), 'real64, rank 2')
    call codec%compress(a3, fieldpress_psnr(60.0_real64), stream)
    call codec%decompress(stream, b3, report)
    call check(report%nrmse <= tolerance, 'real64, rank 3')
    call codec%compress(a4, fieldpress_pw_rel(1.0e-3_real64), stream)
    call codec%decompress(stream, b4)
    call check(all(abs(a4 - b4) <= 1.0e-3_real64*abs(a4)), 'real64, relative at each point')
    call codec%compress(a4, fieldpress_block_l2(0.1_real64), stream)
    call codec%decompress(stream, b4)
    call check(maxval(abs(a4 - b4)) <= 0.1_real64, 'real64, rank 4')
    a2(7:30, 9:20) = -9999
    call codec%compress(a2, fieldpress_rel(tolerance), stream, report)
    call codec%decompress(stream, b2)
    call check(report%sentinel_count == 1 .and. nint(report%sentinels(1)) == -9999, 'a sentinel')
    call check(maxval(abs(a2 - b2), mask=a2 < -9000) <= 0, 'a sentinel is kept')
  end subroutine

  ! The interior of an array with halo cells, every other column, a window of time: compressed and decoded in place.
  subroutine sections()
    real(real32), allocatable :: whole(:, :, :), back(:, :, :), copy(:, :, :)
    integer(int8), allocatable :: stream(:), same(:)
    integer :: x, y, t
    allocate (whole(0:41, 0:61, 12), back(0:41, 0:61, 12))
    do t = 1, 12
      do y = 0, 61
        do x = 0, 41
          whole(x, y, t) = real(sin(0.1*x)*cos(0.05*y) + 0.01*t, real32)
        end do
      end do
    end do
    copy = whole(1:40, 1:60:2, 3:10)
    call codec%compress(whole(1:40, 1:60:2, 3:10), fieldpress_abs(tolerance), stream)
    call codec%compress(copy, fieldpress_abs(tolerance), same)
    call check(size(stream) == size(same), 'a section and its copy')
    call check(all(stream == same), 'a section and its copy give the same bytes')
    back = -7
    call codec%decompress(stream, back(1:40, 1:60:2, 3:10))
    call check(maxval(abs(back(1:40, 1:60:2, 3:10) - copy)) <= tolerance, 'a section decoded in place')
    back(1:40, 1:60:2, 3:10) = -7
    call check(maxval(abs(back + 7)) <= 0, 'what lies between was not touched')
  end subroutine

  subroutine errors()
    real(real32) :: a(40, 40), none(0, 40)
    integer(int8), allocatable :: stream(:)
    integer :: stat
    character(200) :: message
    type(fieldpress_codec) :: bad, unset
    a = 1
    call bad%create('effort=9', stat, message)
    call check(stat == fieldpress_invalid_argument .and. index(message, '0, 1 or 2') > 0, 'a bad option')
    call codec%compress(a, fieldpress_abs(-1.0_real64), stream, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'greater than 0') > 0, 'a bad bound')
    call check(.not. allocated(stream), 'no stream after an error')
    call codec%compress(none, fieldpress_abs(1.0_real64), stream, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'zero') > 0, 'no elements')
    call codec%compress(a(40:1:-1, :), fieldpress_abs(1.0_real64), stream, stat=stat)
    call check(stat == fieldpress_invalid_argument, 'a backward section')
    call unset%compress(a, fieldpress_abs(1.0_real64), stream, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'handle') > 0, 'a codec not created')
    call codec%compress(a, fieldpress_abs(1.0_real64), stream)
    call codec%decompress(stream(:10), a, stat=stat)
    call check(stat == fieldpress_corrupt, 'a cut stream')
    call codec%decompress(stream(:0), a, stat=stat)
    call check(stat == fieldpress_corrupt, 'an empty stream')
    call codec%decompress(stream, a(:, :39), stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, '40x40') > 0, 'another shape')
  end subroutine

  ! Sizes that a default integer cannot hold, of memory that nobody touches.
  subroutine large()
    integer(int64), parameter :: gibibytes_2 = 2_int64**31
    real(real32), target :: a(40, 40)
    integer(int8), allocatable :: stream(:), long(:)
    real(real32), pointer :: line(:), volume(:, :, :)
    type(fieldpress_c_field) :: described
    integer :: stat
    character(200) :: message
    a = 1
    call codec%compress(a, fieldpress_abs(1.0_real64), stream)
    allocate (long(gibibytes_2))
    long(:size(stream)) = stream
    call codec%decompress(long, a, stat=stat, errmsg=message)
    call check(stat == fieldpress_corrupt .and. index(message, 'follow the end') > 0, 'bytes of 2 GiB')

    call c_f_pointer(c_loc(a), line, [2*gibibytes_2 + 100])
    described = fieldpress_describe(line)
    call check(described%dims(1) == 2*gibibytes_2 + 100, 'more than 2^32 elements')
    call c_f_pointer(c_loc(a), volume, [2048, 2048, 1024])
    described = fieldpress_describe(volume)
    call check(all(described%dims(:3) == [1024, 2048, 2048]), '2^32 elements are not none')

    ! No address space has room for its stream.
    call c_f_pointer(c_loc(a), line, [2_int64**46])
    call codec%compress(line, fieldpress_abs(1.0_real64), stream, stat=stat, errmsg=message)
    call check(stat == fieldpress_io .and. index(message, 'out of memory') > 0, 'no memory for a stream')
    call check(.not. allocated(stream), 'no stream without memory')
  end subroutine

  subroutine time_steps()
    type(fieldpress_steps) :: steps
    type(fieldpress_report) :: report
    real(real64) :: all(30, 20, 5), decoded(30, 20, 3)
    integer(int8), allocatable :: stream(:), whole(:)
    integer :: i, t, stat
    all = reshape(wave([(i, i=1, 3000)]), shape(all))
    call steps%create(codec, all(:, :, 1), 3, fieldpress_abs(tolerance))
    do t = 1, 5
      call steps%push(all(:, :, t), stream, report)
      call check((size(stream) > 0) .eqv. (t == 3), 'a window is full at its last step')
      if (t == 3) then
        call codec%compress(all(:, :, :3), fieldpress_abs(tolerance), whole)
        call check(size(whole) == size(stream) .and. report%stream_bytes == size(stream), 'a window')
        call codec%decompress(stream, decoded)
        call check(maxval(abs(decoded - all(:, :, :3))) <= tolerance, 'a window decoded')
      end if
    end do
    call steps%push(all(:20, :, 1), stream, stat=stat)
    call check(stat == fieldpress_invalid_argument, 'a step of another shape')
    call steps%flush(stream)
    call codec%decompress(stream, decoded(:, :, :2))
    call check(maxval(abs(decoded(:, :, :2) - all(:, :, 4:))) <= tolerance, 'a short window')
    call steps%flush(stream)
    call check(size(stream) == 0, 'nothing waits')
  end subroutine

  ! Without them, each round would leave a pool of threads behind.
  subroutine finalisers()
    integer :: i
    do i = 1, 50
      call in_a_scope()
    end do
    ! Threads end on their own time.
    do i = 1, 100
      if (threads() < 20) exit
      if (usleep(100000) /= 0) exit
    end do
    call check(threads() < 20, 'codecs are destroyed at the end of their scope')
  end subroutine

  subroutine in_a_scope()
    type(fieldpress_codec) :: inner
    call inner%create('threads=2')
  end subroutine

  integer function threads()
    character(80) :: line
    integer :: unit, io
    threads = 0
    open (newunit=unit, file='/proc/self/status', action='read', iostat=io)
    do while (io == 0)
      read (unit, '(a)', iostat=io) line
      if (line(:8) == 'Threads:') read (line(9:), *) threads
    end do
    close (unit)
  end function

end program
