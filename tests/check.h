/* CHECK for the test programs in C and C++: where a condition does not hold, it says so and ends the program.
 * CHECK_NOTE, where a program defines it before it includes this, is a text to be printed with it. */
#ifndef FIELDPRESS_TESTS_CHECK_H
#define FIELDPRESS_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#ifndef CHECK_NOTE
#define CHECK_NOTE ""
#endif

#define CHECK(condition)                                                                                               \
  do                                                                                                                   \
  {                                                                                                                    \
    if (!(condition))                                                                                                  \
    {                                                                                                                  \
      printf("%s:%d: %s does not hold\n%s\n", __FILE__, __LINE__, #condition, CHECK_NOTE);                             \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

#endif
