import type { SluiceError } from '../errors.ts'

/** What a store asks before it takes something in, and tells when it finds no room after all. */
export interface Room {
  /** Throws `disk_full` while less is free than the reserve. `bytes` are about to be written. Costs no system call. */
  check(bytes?: number): void
  /** A write of the store failed with `disk_full`. */
  foundFull(): void
}

/** For a store whose disk nobody watches. */
export const ANY_ROOM: Room = { check: () => {}, foundFull: () => {} }

/** Tells `room` of the errors that say so, and passes all of them on. */
export function noticing<F>(room: Room, toError: (failure: F) => SluiceError): (failure: F) => SluiceError {
  return (failure) => {
    const error = toError(failure)
    if (error.code === 'disk_full') room.foundFull()
    return error
  }
}
