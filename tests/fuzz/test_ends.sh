#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/fuzz-end.awk tells an end inside libhdf5 from one of our own.
# usage: test_ends.sh SOURCE_ROOT
set -u
judge=$1/tools/fuzz-end.awk
failed=0
passed=0

# says VERDICT WHAT: the verdict on the log at stdin.
says() {
    got=$(awk -f "$judge")
    if [ "$got" = "$1" ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $2: '$got', not '$1'"; fi
}

library='(/lib/x86_64-linux-gnu/libhdf5_serial.so.103+0x1843cd)'
reader='/src/tubelet/build/../src/modules/h5_read.c:267:25'

says "library SEGV H5MM_xfree" "a crash in the library that we called" <<END
==28817==ERROR: AddressSanitizer: SEGV on unknown address (pc 0x5638a4516524)
    #0 0x5638a4516524 in __asan::Allocator::Deallocate(void*) (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0x6b524)
    #1 0x7fc3fe1b353d  $library
    #2 0x7fc3fe1843cd in H5MM_xfree $library
    #3 0x5638a45d5652 in pass_group $reader
END
says "ours" "a crash in our reader that the library called back" <<END
==28817==ERROR: AddressSanitizer: SEGV on unknown address (pc 0x5638a4516524)
    #0 0x5638a45d5652 in visit $reader
    #1 0x7fc3fe1843cd in H5Literate $library
    #2 0x5638a45d5652 in pass_group $reader
END
says "ours" "a block of ours that the library overruns" <<END
==13212==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000008bb8
    #0 0x55ebddb53513 in __interceptor_memcpy (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0x83513)
    #1 0x7f06a4ac1fca in H5VM_memcpyvv $library
    #2 0x55ebddbfc878 in read_elements $reader

0x602000008bb8 is located 0 bytes to the right of 8-byte region [0x602000008bb0,0x602000008bb8)
allocated by thread T0 here:
    #0 0x55ebddbbc10e in malloc (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0xec10e)
    #1 0x55ebddbfc878 in pass_array $reader
    #2 0x7fc3fe1843cd in H5Literate $library
END
says "library heap-buffer-overflow H5VM_memcpyvv" "a block of its own that the library overruns" <<END
==13212==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000008bb8
    #0 0x55ebddb53513 in __interceptor_memcpy (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0x83513)
    #1 0x7f06a4ac1fca in H5VM_memcpyvv $library

0x602000008bb8 is located 0 bytes to the right of 8-byte region [0x602000008bb0,0x602000008bb8)
allocated by thread T0 here:
    #0 0x55ebddbbc10e in malloc (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0xec10e)
    #1 0x7f06a49233e4  $library
    #2 0x55ebddbfc878 in pass_array $reader
END
says "library timeout H5C_protect" "no end" <<END
ALARM: working on the last Unit for 10 seconds
==1234== ERROR: libFuzzer: timeout after 10 seconds
    #0 0x55ebddbbc10e in __sanitizer_print_stack_trace (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0xec10e)
    #1 0x7fc3fe1843cd in H5C_protect $library
    #2 0x5638a45d5652 in pass_object $reader
END
says "ours" "a broken promise" <<END
/src/tubelet/tests/fuzz/fuzz_hdf5.c:77: not true: nothing_open()
==1234== ERROR: libFuzzer: deadly signal
    #0 0x55ebddbbc10e in __sanitizer_print_stack_trace (/src/tubelet/build/tests/fuzz/fuzz_hdf5+0xec10e)
    #1 0x7fc3fde45249 in abort (/lib/x86_64-linux-gnu/libc.so.6+0x25532)
    #2 0x5638a45d2114 in LLVMFuzzerTestOneInput /src/tubelet/build/../tests/fuzz/fuzz_hdf5.c:77:5
END
says "ours" "undefined behaviour" <<END
$reader: runtime error: signed integer overflow
    #0 0x7fc3fe1843cd in H5C_protect $library
END
says "ours" "no stack at all" </dev/null

echo "$passed passed, $failed failed"
[ $failed = 0 ]
