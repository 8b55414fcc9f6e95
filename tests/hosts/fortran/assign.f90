! A codec that is assigned would be destroyed twice: the program must stop with a reason.
program assign
  use fieldpress
  implicit none
  type(fieldpress_codec) :: a, b
  call a%create('threads=1')
  b = a
  print '(a)', 'it went on'
end program
