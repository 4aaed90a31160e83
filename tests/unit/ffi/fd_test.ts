import { assertEquals, assertThrows } from "@std/assert";
import { OwnedFd, ownFd } from "../../../ffi/fd.ts";
import { orClose } from "../../../ffi/socket.ts";
import { SyscallError } from "../../../src/errors.ts";
import { fakeLibc } from "../../fakes/libc.ts";

/** A library that notes what it closes; `result` makes the close fail with that error. */
function closing(error?: string) {
  const closed: number[] = [];
  const libc = fakeLibc((errno) => ({
    close: (fd) => (closed.push(fd), error === undefined ? 0 : errno.fail(error)),
  }));
  return { libc, closed };
}

Deno.test("OwnedFd.close() closes once and throws the second time, without a call", () => {
  const { libc, closed } = closing();
  const fd = new OwnedFd(libc, 7);
  assertEquals([fd.use(), fd.isOpen], [7, true]);
  fd.close();
  assertThrows(() => fd.close(), SyscallError, "Cannot use closed descriptor 7: EBADF");
  assertThrows(() => fd.use(), SyscallError, "EBADF");
  assertEquals([closed, fd.number, fd.isOpen], [[7], 7, false]);
});

Deno.test("OwnedFd.close() throws when somebody else has closed it", () => {
  assertThrows(() => new OwnedFd(closing("EBADF").libc, 7).close(), SyscallError, "EBADF");
});

for (const error of ["EINTR", "EIO"]) {
  Deno.test(`OwnedFd.close() takes ${error} for closed`, () => {
    const fd = new OwnedFd(closing(error).libc, 7);
    fd.close();
    assertEquals(fd.isOpen, false);
  });
}

Deno.test("ownFd() throws what the call has failed with", () => {
  const libc = fakeLibc(() => ({}));
  assertThrows(
    () => ownFd(libc, libc.c.socket(0, 0, 0), "open a socket"),
    SyscallError,
    "open a socket: ENOSYS",
  );
});

Deno.test("orClose() closes only when the set-up throws", () => {
  const { libc, closed } = closing();
  assertEquals(orClose(new OwnedFd(libc, 7), () => 1), 1);
  assertEquals(closed, []);
  assertThrows(() =>
    orClose(new OwnedFd(libc, 8), () => {
      throw new RangeError("set-up");
    }), RangeError);
  assertEquals(closed, [8]);
});
