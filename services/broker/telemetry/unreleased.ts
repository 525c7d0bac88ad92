// Invariant: an id is written down after its message is in the log and before its PUBREC, and is gone before its PUBCOMP:
// what a store knows was stored, and what a client may use for its next message is not known any more.
import type { SessionStore } from '../../../shared/sessions/port.ts'

/** A message by what it says: the CRC-32 of topic and payload, and the payload's length, in one safe integer. */
export type Digest = number

/** Where persistent sessions keep what is unreleased of their telemetry, as long as they last. */
export type UnreleasedStore = Pick<SessionStore, 'isUp' | 'writeUnreleased'>
